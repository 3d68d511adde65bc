package dev.curfew.spring;

import dev.curfew.ReplicaStatus;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/** Whether checks are answered: by the local replica, or else by the store. */
record CheckHealth(TokenResource tokens) {
    private static final String NAME = "curfew-health";
    // It has a session: a replica cannot always tell of tokens without one (R12.4).
    private static final Token NEVER_ISSUED = Token.withoutIssuedAt(NAME, NAME, Instant.parse("9999-01-01T00:00:00Z"))
            .withSession(NAME);

    /** While the replica answers, the store is not asked: in an outage that would take as long as a call may. */
    boolean isUp() {
        Optional<TokenStatus> local = tokens.checkLocally(NEVER_ISSUED);
        return local.isPresent() ? local.get() != TokenStatus.UNAVAILABLE : storeAnswers();
    }

    /** A look-up throws under every failure policy, where a check would not. */
    private boolean storeAnswers() {
        try {
            tokens.inspect(NAME);
            return true;
        } catch (TokenStoreException e) {
            return false;
        }
    }

    Map<String, Object> details() {
        Map<String, Object> details = new LinkedHashMap<>();
        tokens.replicaStatus().ifPresent(status -> put(details, status));
        return details;
    }

    private static void put(Map<String, Object> details, ReplicaStatus status) {
        Duration age = status.age();
        details.put("replica", status.isServing() ? "serving" : "stale");
        if (age != null) {
            details.put("age", age.truncatedTo(ChronoUnit.MILLIS).toString());
        }
        details.put("entries", status.entries());
    }
}
