package dev.curfew.tck;

import dev.curfew.TokenRecord;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Compares records field by field, and names the first field that differs. */
final class Records {
    /** Fields whose values never appear in a message (R9.2). */
    private static final Set<String> HIDDEN = Set.of("jti", "subject", "session", "successor", "extraData");

    /** One field of two records that are not equal. */
    record Difference(
            String field, @Nullable Object is, @Nullable Object should) {
        @Override
        public String toString() {
            return HIDDEN.contains(field)
                    ? field + " is not what it should be" + (is == null ? ": it is missing" : "")
                    : field + " is " + is + " instead of " + should;
        }
    }

    private Records() {}

    /** The first field that differs, or {@code null} where the records are equal. */
    static @Nullable Difference difference(TokenRecord is, TokenRecord should) {
        for (Difference field : List.of(
                new Difference("revoked", is.isRevoked(), should.isRevoked()),
                new Difference("revokedAt", is.revokedAt(), should.revokedAt()),
                new Difference("createdAt", is.createdAt(), should.createdAt()),
                new Difference("updatedAt", is.updatedAt(), should.updatedAt()),
                new Difference("expiresAt", is.expiresAt(), should.expiresAt()),
                new Difference("issuedAt", is.issuedAt(), should.issuedAt()),
                new Difference("jti", is.jti(), should.jti()),
                new Difference("subject", is.subject(), should.subject()),
                new Difference("purpose", is.purpose(), should.purpose()),
                new Difference("session", is.session(), should.session()),
                new Difference("successor", is.successor(), should.successor()),
                new Difference("extraData", is.extraData(), should.extraData()))) {
            if (!Objects.equals(field.is, field.should)) {
                return field;
            }
        }
        return null;
    }

    /** What differs between two pages, in words, or {@code null} where they are equal. */
    static @Nullable String difference(List<TokenRecord> is, List<TokenRecord> should) {
        for (int i = 0; i < Math.min(is.size(), should.size()); i++) {
            Difference difference = difference(is.get(i), should.get(i));
            if (difference != null) {
                return "of record " + i + " of the page, " + difference;
            }
        }
        return is.size() == should.size() ? null : "the page has " + is.size() + " records instead of " + should.size();
    }

    /**
     * Fails where the records are not equal.
     *
     * @param what which record it is, and when
     */
    static void assertEqual(String what, TokenRecord is, TokenRecord should) {
        Difference difference = difference(is, should);
        if (difference != null) {
            throw new AssertionError("The record " + what + ": " + difference);
        }
    }
}
