package dev.curfew;

import java.io.Serializable;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * What is known of a token without the token itself: its id, whose it is, when it was issued and when it expires.
 *
 * <p>The claims are those of a JWT (RFC 7519 section 4.1), but anything with a unique id will do: a magic link, a reset
 * code. Times have millisecond precision; what is finer is rounded up for {@code expiresAt} and down for
 * {@code issuedAt}. {@code toString} shows neither jti nor subject.
 *
 * @param jti the token's unique id, 1 to 512 bytes in UTF-8
 * @param subject whose token it is, 1 to 1,024 bytes in UTF-8
 * @param issuedAt when it was issued, or {@code null} where that is not known: such a token is revoked by every
 *     {@link TokenResource#revokeSubject}, also by an earlier one
 * @param expiresAt from when on it is no longer accepted
 */
public record Token(String jti, String subject, @Nullable Instant issuedAt, Instant expiresAt) implements Serializable {

    /** The purpose of a token that was stored without one. */
    public static final String DEFAULT_PURPOSE = "user";

    /**
     * Checks the limits and rounds the times.
     *
     * @throws IllegalArgumentException if a field is outside its limits; the message names the field
     */
    public Token {
        Limits.jti(jti);
        Limits.subject(subject);
        issuedAt = issuedAt == null ? null : Times.roundedDown("issuedAt", issuedAt);
        expiresAt = Times.roundedUp("expiresAt", expiresAt);
    }

    /**
     * A token whose time of issue is not known.
     *
     * @throws IllegalArgumentException if a field is outside its limits
     */
    public static Token of(String jti, String subject, Instant expiresAt) {
        return new Token(jti, subject, null, expiresAt);
    }

    /**
     * A token with all that can be known of it.
     *
     * @throws IllegalArgumentException if a field is outside its limits
     */
    public static Token of(String jti, String subject, Instant issuedAt, Instant expiresAt) {
        return new Token(jti, subject, Limits.present("issuedAt", issuedAt), expiresAt);
    }

    /**
     * Reads {@code jti}, {@code sub}, {@code exp} and {@code iat} of a JWT's payload <strong>without verifying
     * it</strong>: anybody can write such a token, so verify it first, with a JOSE library.
     *
     * @param compact a JWS in compact serialization (RFC 7515 section 7.1), at most 16 KiB
     * @throws InvalidTokenException if it is malformed, or a claim is missing or of the wrong type; it names the claim
     */
    public static Token peek(String compact) {
        return JwtPayload.read(compact);
    }

    @Override
    public String toString() {
        return "Token[expiresAt=" + expiresAt + "]";
    }
}
