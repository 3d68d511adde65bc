package dev.curfew.reliability;

import dev.curfew.Consumption;
import dev.curfew.RevokeOutcome;
import dev.curfew.Rotation;
import dev.curfew.StoreOutcome;
import dev.curfew.TokenStatus;
import java.time.Instant;
import java.util.Map;

/**
 * One call of one thread, or one fault: what a history consists of.
 *
 * @param token the number of the token that it was about; 0 of a fault
 * @param start a reading of {@link System#nanoTime} before it
 * @param end the same, after it
 */
record Operation(Kind kind, long token, Answer answer, long start, long end) {
    enum Kind {
        STORE,
        CHECK,
        REVOKE,
        CONSUME,
        ROTATE,
        REVOKE_SESSION,
        REVOKE_SUBJECT,
        /** A server was killed, until it answered again. */
        KILL,
        /** A server was killed, until another one had its place and its replicas. */
        FAILOVER,
        /** This JVM did not run: no call is to blame for that. */
        PAUSE;

        /** Of all such calls for one token one wins at most. */
        boolean revokesRecord() {
            return this == REVOKE || this == CONSUME || this == ROTATE;
        }

        boolean revokes() {
            return revokesRecord() || this == REVOKE_SESSION || this == REVOKE_SUBJECT;
        }
    }

    enum Answer {
        /** This call, and no other, has revoked, used or rotated. */
        WON,
        /** It was revoked or used before, which is as good as an acknowledgement. */
        ALREADY,
        /** It is done, and there is no winner. */
        DONE,
        STORED,
        ACTIVE,
        /** It is seen to be revoked. That it is replicated was not said. */
        REVOKED,
        /** No such token is stored. */
        ABSENT,
        /** An exception, with the promise that nothing was changed. */
        FAILED,
        /** An exception: it may be done. */
        UNKNOWN,
        /** An exception that is not documented, or an answer that cannot be. */
        WRONG;

        static Answer of(Object answer) {
            if (answer instanceof Rotation.Rotated rotated) {
                return rotated.isRepetition() ? ALREADY : WON;
            } else if (answer instanceof Consumption.Consumed) {
                return WON;
            } else if (answer instanceof Rotation.Reused) {
                return ALREADY;
            }
            return answer instanceof Instant ? DONE : ANSWERS.getOrDefault(answer, WRONG);
        }
    }

    private static final Map<Object, Answer> ANSWERS = Map.of(
            RevokeOutcome.REVOKED, Answer.WON,
            RevokeOutcome.ALREADY_REVOKED, Answer.ALREADY,
            StoreOutcome.STORED, Answer.STORED,
            StoreOutcome.REVOKED, Answer.ALREADY,
            TokenStatus.ACTIVE, Answer.ACTIVE,
            TokenStatus.REVOKED, Answer.REVOKED,
            Consumption.Refused.ALREADY_USED, Answer.ALREADY,
            Consumption.Refused.UNKNOWN, Answer.ABSENT,
            Rotation.Refused.REVOKED, Answer.REVOKED,
            Rotation.Refused.UNKNOWN, Answer.ABSENT);

    boolean isFault() {
        return kind == Kind.KILL || kind == Kind.FAILOVER || kind == Kind.PAUSE;
    }

    /** Whether it was over when the other one began. */
    boolean isBefore(Operation other) {
        return end - other.start < 0;
    }

    /** Whether the store has said that the token, its session or its subject is revoked, for good. */
    boolean acknowledges() {
        // Of a used token one cannot tell whether it, its session or its subject is revoked, nor who has waited for
        // that.
        return answer == Answer.WON || answer == Answer.DONE || (answer == Answer.ALREADY && kind != Kind.CONSUME);
    }

    /** Whether it shows that the token, its session or its subject is revoked: perhaps on this server alone. */
    boolean shows() {
        return answer == Answer.REVOKED || (answer == Answer.ALREADY && kind == Kind.CONSUME);
    }

    /** Whether it has said that the record itself is revoked, for good: a used token may be one of a revoked session. */
    boolean acknowledgesRecord() {
        return (kind.revokesRecord() && answer == Answer.WON)
                || (answer == Answer.ALREADY && (kind == Kind.REVOKE || kind == Kind.STORE));
    }
}
