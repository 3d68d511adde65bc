package dev.curfew;

import java.time.Instant;
import java.util.Comparator;
import org.jspecify.annotations.Nullable;

/**
 * What a store keeps about one token: never the token itself. All times have millisecond precision. {@code toString}
 * shows neither jti, subject, session nor extra data.
 *
 * @param jti the token's unique id
 * @param subject whose token it is, or {@code null} where it was revoked by its jti alone
 * @param purpose what it is for
 * @param issuedAt when it was issued, or {@code null} where that is not known
 * @param expiresAt from when on it is expired
 * @param extraData an immutable map, or {@code null}
 * @param createdAt when the record was first stored; later stores leave it
 * @param updatedAt when the record was last changed
 * @param revokedAt when the token was revoked or used, or {@code null} while it is not
 * @param session the session that the token belongs to, or {@code null} (R13.1)
 * @param successor the jti of the token that was stored in its place when it was rotated, or {@code null} (R14.1)
 */
public record TokenRecord(
        String jti,
        @Nullable String subject,
        String purpose,
        @Nullable Instant issuedAt,
        Instant expiresAt,
        @Nullable ExtraData extraData,
        Instant createdAt,
        Instant updatedAt,
        @Nullable Instant revokedAt,
        @Nullable String session,
        @Nullable String successor) {

    /** The purpose of a record that a revocation inserted because nothing was stored (R3.4). */
    public static final String REVOCATION = "revocation";

    /**
     * The order of two jtis: by their bytes in UTF-8, which is the order of their code points (R2.7, R7.1).
     * {@link String#compareTo} has another order: to it, U+10000 and all above come before U+E000.
     */
    public static final Comparator<String> JTI_ORDER = TokenRecord::compareCodePoints;

    /** The order of a page: by expiry, then by jti in {@link #JTI_ORDER} (R2.7, R7.1). */
    public static final Comparator<TokenRecord> BY_EXPIRY =
            Comparator.comparing(TokenRecord::expiresAt).thenComparing(TokenRecord::jti, JTI_ORDER);

    private static int compareCodePoints(String a, String b) {
        int shorter = Math.min(a.length(), b.length());
        for (int i = 0; i < shorter; i++) {
            char x = a.charAt(i);
            char y = b.charAt(i);
            if (x != y) {
                boolean isAbove = Character.isSurrogate(x);
                // A surrogate is half of a code point above U+FFFF.
                return isAbove == Character.isSurrogate(y) ? x - y : isAbove ? 1 : -1;
            }
        }
        return a.length() - b.length();
    }

    /** Whether it has not expired yet: {@code now < expiresAt}, in every store (R1.1). */
    public boolean isLive(Instant now) {
        return Times.isLive(expiresAt, now);
    }

    /** Whether it is revoked or used. */
    public boolean isRevoked() {
        return revokedAt != null;
    }

    /**
     * The token of this record: to rotate an opaque token, of which its holder has sent nothing but the secret.
     *
     * @throws IllegalStateException if it was revoked by its jti alone, so that nobody knows its subject
     */
    public Token token() {
        if (subject == null) {
            throw new IllegalStateException("The token of this record has no subject: it was revoked by its jti alone");
        }
        return new Token(jti, subject, issuedAt, expiresAt, session);
    }

    /** This record, as an update of the one that was first stored at {@code createdAt}. */
    public TokenRecord withCreatedAt(Instant createdAt) {
        return new TokenRecord(
                jti, subject, purpose, issuedAt, expiresAt, extraData, createdAt, updatedAt, revokedAt, session,
                successor);
    }

    /**
     * This record, revoked and kept until {@code keepUntil} at the least. A revocation that is there already keeps its
     * time, and an expiry is never shortened (R3.3).
     */
    public TokenRecord revoked(Instant now, Instant keepUntil) {
        Instant until = keepUntil.isAfter(expiresAt) ? keepUntil : expiresAt;
        return isRevoked() && until.equals(expiresAt)
                ? this
                : new TokenRecord(
                        jti,
                        subject,
                        purpose,
                        issuedAt,
                        until,
                        extraData,
                        createdAt,
                        now,
                        revokedAt == null ? now : revokedAt,
                        session,
                        successor);
    }

    /**
     * This unrevoked record, used.
     *
     * @param by the jti of the token that is stored in its place, or {@code null} where there is none
     */
    public TokenRecord used(Instant now, @Nullable String by) {
        return new TokenRecord(jti, subject, purpose, issuedAt, expiresAt, extraData, createdAt, now, now, session, by);
    }

    @Override
    public String toString() {
        return "TokenRecord[purpose=" + purpose + ", expiresAt=" + expiresAt + ", revokedAt=" + revokedAt + "]";
    }
}
