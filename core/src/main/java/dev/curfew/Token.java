package dev.curfew;

import java.io.Serializable;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * What is known of a token without the token itself: its id, whose it is, when it was issued and when it expires.
 *
 * <p>The claims are those of a JWT (RFC 7519 section 4.1), but anything with a unique id will do: a magic link, a reset
 * code. Times have millisecond precision; what is finer is rounded up for {@code expiresAt} and down for
 * {@code issuedAt}. {@code toString} shows neither jti, subject nor session.
 *
 * @param jti the token's unique id, 1 to 512 bytes in UTF-8
 * @param subject whose token it is, 1 to 1,024 bytes in UTF-8
 * @param issuedAt when it was issued, or {@code null} where that is not known: such a token is revoked by every
 *     {@link TokenResource#revokeSubject}, also by an earlier one
 * @param expiresAt from when on it is no longer accepted
 * @param session the session that it belongs to, 1 to 512 bytes in UTF-8, or {@code null}: the claim {@code sid} (OpenID
 *     Connect Back-Channel Logout 1.0 section 2.4)
 */
public record Token(
        String jti,
        String subject,
        @Nullable Instant issuedAt,
        Instant expiresAt,
        @Nullable String session) implements Serializable {

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
        if (session != null) {
            Limits.session(session);
        }
    }

    /**
     * A token whose time of issue is not known. A watermark of its subject revokes it, whenever it was issued (R4.3).
     *
     * @throws IllegalArgumentException if a field is outside its limits
     */
    public static Token withoutIssuedAt(String jti, String subject, Instant expiresAt) {
        return new Token(jti, subject, null, expiresAt, null);
    }

    /**
     * A token.
     *
     * @throws IllegalArgumentException if a field is outside its limits
     */
    public static Token of(String jti, String subject, Instant issuedAt, Instant expiresAt) {
        return new Token(jti, subject, Limits.present("issuedAt", issuedAt), expiresAt, null);
    }

    /**
     * This token, as one of a session (R13.1).
     *
     * @throws IllegalArgumentException if the session is outside its limits
     */
    public Token withSession(String session) {
        return new Token(jti, subject, issuedAt, expiresAt, Limits.session(session));
    }

    /**
     * A secret to hand out: 256 random bits, in 43 characters of base64url. It is not stored: see {@link #ofSecret}.
     */
    public static String newSecret() {
        return Secrets.newSecret();
    }

    /**
     * A token that is an opaque secret, such as a magic link. Its jti is the {@link #idOf} of the secret, so that nobody who
     * reads the store can use it (R15.1).
     *
     * @param secret what its holder has: {@link #newSecret}, or as hard to guess
     * @throws IllegalArgumentException if a field is outside its limits
     */
    public static Token ofSecret(String secret, String subject, Instant issuedAt, Instant expiresAt) {
        return of(idOf(secret), subject, issuedAt, expiresAt);
    }

    /**
     * The jti of a secret, by which to {@code consume} what its holder sends: the SHA-256 of its UTF-8, in base64url.
     *
     * @throws IllegalArgumentException if it is null or empty
     */
    public static String idOf(String secret) {
        return Secrets.idOf(Limits.text("secret", secret, 1, Secrets.MOST_BYTES));
    }

    /**
     * Reads {@code jti}, {@code sub}, {@code exp}, {@code iat} and {@code sid} of a JWT's payload <strong>without verifying
     * it</strong>: anybody can write such a token, so verify it first, with a JOSE library.
     *
     * @param compact a JWS in compact serialization (RFC 7515 section 7.1), at most 16 KiB
     * @throws InvalidTokenException if it is malformed, or a claim is missing or of the wrong type; it names the claim
     */
    public static Token peek(String compact) {
        return new JwtPayload().read(compact, null, false).token();
    }

    /**
     * Reads a JWT as {@link #peek(String)} does, if its {@code iss} is this issuer. Two issuers may give the same
     * {@code sub} and {@code jti}: have a domain, or a tenant, for each of them.
     *
     * @param issuer whose token it must be, compared by its characters (RFC 7519 section 4.1.1)
     * @throws InvalidTokenException also if the issuer is another one or missing; it names {@code iss}
     */
    public static Token peek(String compact, String issuer) {
        return new JwtPayload()
                .read(compact, Limits.present("issuer", issuer), false)
                .token();
    }

    /**
     * Reads a JWT as {@link #peek(String)} does; one without {@code jti} gets the SHA-256 of its header and payload, as they
     * are written, in its place. The signature is left out, since it can be written in other ways that verify, too.
     *
     * @throws InvalidTokenException if it is malformed, or another claim is missing or of the wrong type; it names the claim
     */
    public static Token peekOrDigest(String compact) {
        return new JwtPayload().read(compact, null, true).token();
    }

    @Override
    public String toString() {
        return "Token[expiresAt=" + expiresAt + "]";
    }
}
