package dev.curfew;

/** What {@link TokenResource#rotate} answers: the successor, or why there is none (R14). */
public sealed interface Rotation {

    /**
     * The presented token is used, and the successor is stored: hand it out.
     *
     * @param successor the successor's record
     * @param isRepetition whether the presented token had been used before, within {@code reuseGrace} (R14.3)
     */
    record Rotated(TokenRecord successor, boolean isRepetition) implements Rotation {}

    /**
     * The presented token had been used before: somebody else has a copy of it. Its session is revoked, with all tokens of
     * the thief's and of the owner's (RFC 9700 section 4.14.2). Let the user sign in again.
     *
     * @param presented the record of the presented token
     */
    record Reused(TokenRecord presented) implements Rotation {}

    /** Why there is no successor; the session is as it was. */
    enum Refused implements Rotation {
        /** The presented token, its session, or all tokens of its subject are revoked. */
        REVOKED,
        /** It is past its expiry. */
        EXPIRED,
        /** No such token of this subject and session is stored for this purpose. */
        UNKNOWN
    }
}
