package dev.curfew;

import org.jspecify.annotations.Nullable;

/**
 * A token and its issuer, as a JWT's payload names them, for an identity provider whose ids are in other claims than
 * {@code jti} and {@code sub}. {@code toString} shows neither.
 *
 * @param token the token
 * @param issuer the claim {@code iss}, or {@code null} where it is missing
 */
public record PeekedJwt(Token token, @Nullable String issuer) {

    /**
     * Reads a JWT as {@link Token#peek(String)} does, <strong>without verifying it</strong>, with the token's id and subject
     * from the claims of these names.
     *
     * @param jtiClaim the claim that has the token's unique id, such as {@code jti}
     * @param subjectClaim the claim that has the subject, such as {@code sub}
     * @param orDigest whether a JWT without the first claim gets a digest for an id, as by {@link Token#peekOrDigest}
     * @throws InvalidTokenException if it is malformed, or a claim is missing or of the wrong type; it names the claim
     */
    public static PeekedJwt read(String compact, String jtiClaim, String subjectClaim, boolean orDigest) {
        return new JwtPayload(Limits.present("jtiClaim", jtiClaim), Limits.present("subjectClaim", subjectClaim))
                .read(compact, null, orDigest);
    }

    @Override
    public String toString() {
        return "PeekedJwt[" + token + "]";
    }
}
