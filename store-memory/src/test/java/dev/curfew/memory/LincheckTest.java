package dev.curfew.memory;

import dev.curfew.Consumption;
import dev.curfew.Consumption.Consumed;
import dev.curfew.StoreScope;
import dev.curfew.TokenRecord;
import java.time.Duration;
import java.time.Instant;
import org.jetbrains.lincheck.datastructures.IntGen;
import org.jetbrains.lincheck.datastructures.ModelCheckingOptions;
import org.jetbrains.lincheck.datastructures.Operation;
import org.jetbrains.lincheck.datastructures.Param;
import org.junit.jupiter.api.Test;

/** Explores interleavings of the atomic verbs, and looks for one that no sequence of them could have produced. */
@Param(name = "jti", gen = IntGen.class, conf = "1:2")
public class LincheckTest {
    private static final Instant NOW = Instant.ofEpochMilli(1);
    private static final Instant EXPIRY = NOW.plusSeconds(1);
    private static final StoreScope SCOPE = new StoreScope("lincheck", "", Duration.ZERO, Duration.ofSeconds(1));

    // Whose time stands still: a sweep of Caffeine's timer wheel would look like a loop without end.
    private final MemoryTokenStore store = new MemoryTokenStore(Long.MAX_VALUE, () -> 0L);

    private static TokenRecord record(int jti, String purpose, Instant revokedAt) {
        return new TokenRecord("t" + jti, "s", purpose, NOW, EXPIRY, null, NOW, NOW, revokedAt, null, null);
    }

    @Operation
    public String store(@Param(name = "jti") int jti) {
        return store.store(SCOPE, record(jti, "link", null), NOW).name();
    }

    @Operation
    public String revoke(@Param(name = "jti") int jti) {
        return store.revoke(SCOPE, record(jti, "revocation", NOW), EXPIRY, NOW).name();
    }

    @Operation
    public String consume(@Param(name = "jti") int jti) {
        Consumption answer =
                store.consume(SCOPE, "t" + jti, null, "link", null, NOW).answer();
        return answer instanceof Consumed ? "CONSUMED" : answer.toString();
    }

    /** Is refused, and changes nothing: no other call notices it. */
    @Operation
    public String consumeForAnotherPurpose(@Param(name = "jti") int jti) {
        return store.consume(SCOPE, "t" + jti, null, "other", null, NOW)
                .answer()
                .toString();
    }

    @Operation
    public boolean isListed(@Param(name = "jti") int jti) {
        for (TokenRecord listed : store.list(SCOPE, "s", null, 10, NOW).answer()) {
            if (listed.jti().equals("t" + jti)) {
                return true;
            }
        }
        return false;
    }

    @Operation
    public boolean isRevoked(@Param(name = "jti") int jti) {
        return store.isRevoked(SCOPE, "t" + jti, NOW);
    }

    /** Once before: a class that is initialised in the middle of a run would be a part of what that has to restore. */
    private static void initialiseClasses() {
        var once = new LincheckTest();
        once.store(1);
        once.consume(1);
        once.revoke(2);
        once.isRevoked(2);
        once.store(2);
        once.store(1);
        once.consumeForAnotherPurpose(1);
        once.isListed(1);
        once.store.close();
    }

    @Test
    public void R3_1_theAtomicVerbsAreLinearizable() {
        initialiseClasses();
        new ModelCheckingOptions()
                .iterations(Integer.getInteger("curfew.test.iterations", 6))
                .threads(2)
                .actorsPerThread(3)
                .actorsBefore(1)
                .actorsAfter(1)
                .invocationsPerIteration(300)
                .check(getClass());
    }
}
