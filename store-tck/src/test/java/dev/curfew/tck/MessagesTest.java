package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectMethod;
import static org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder.request;

import dev.curfew.ExtraData;
import dev.curfew.TokenRecord;
import dev.curfew.TokenStore;
import dev.curfew.tck.BrokenStoresTest.KitOfABrokenStore;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.platform.launcher.core.LauncherFactory;

/** What the kit says: enough to know what went wrong, and what to repeat. */
class MessagesTest {

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                // A race: the verbs, the round, how many rounds there were.
                "R3_1_CALLS_AN_EXTENSION_A_REVOCATION | R3_1_ofConcurrentRevocationsOfAStoredTokenExactlyOneWins |"
                        + " Race of revokeJti and revokeToken of a stored token, round ;"
                        + " of 100 (-Dcurfew.tck.races=100;how many got REVOKED",
                // A record: the field.
                "R2_1_MOVES_THE_TIME_OF_CREATION | R2_1_storingAgainReplacesAllButTheTimeOfCreation |"
                        + " createdAt is 2100-01-01T00:01:00Z instead of 2100-01-01T00:00:00Z",
                "R3_4_REPLACES_A_RECORD_BY_ITS_REVOCATION | R3_4_revokingKeepsAStoredRecordAndInsertsAnUnknownOne |"
                        + " The record that was revoked: purpose is revocation instead of link",
                // A number: of what.
                "R4_1_STOPS_ONE_SHORT_OF_A_FULL_BATCH | R4_1_revokesEveryLiveTokenOfTheSubjectAndNoOther |"
                        + " revokeAllStoredForSubject;57",
                // A page.
                "R7_1_READS_A_PAGE_THAT_IS_NOT_FULL | R7_1_aPageIsFullWhileThereIsMore | a page of readExpired",
                // A random history: the seed, the rule and the field.
                "R2_1_MOVES_THE_TIME_OF_CREATION | everyRule_randomHistoriesAnswerAsTheModelDoes |"
                        + " R2.1: createdAt is ;-Dcurfew.tck.seed=;the last of them [",
                // A clock.
                "R1_2_LISTS_BY_A_CLOCK_OF_ITS_OWN | R1_1_listTokensKnowsTheMillisecondOfExpiry |"
                        + " R1.2: This holds in the year 2100, and does not in the year 1999;listTokens;at -1 ms",
                // A thread: its name.
                "R8_6_LEAVES_A_THREAD_BEHIND | R8_6_aStoreThatWasOpenedByItsUrlLeavesNothingBehind | thread 'left-behind'"
            })
    void aFailureSaysOfWhat(BrokenStores broken, String test, String parts) {
        Map<String, Throwable> failures =
                BrokenStoresTest.failuresOf(broken, 100, selectMethod(KitOfABrokenStore.class, test));
        assertThat(failures).hasSize(1);
        assertThat(failures.values().iterator().next().getMessage()).contains(parts.split(";"));
    }

    @Test
    void R9_2_aComparisonOfRecordsHidesWhatIsSecret() {
        Instant now = Instant.parse("2100-01-01T00:00:00Z");
        var record = new TokenRecord(
                "jti-1", "s-1", "p", null, now, ExtraData.of(Map.of("k", "v-1")), now, now, null, null, null);
        var otherJti = new TokenRecord(
                "jti-2", "s-1", "p", null, now, ExtraData.of(Map.of("k", "v-1")), now, now, null, null, null);
        var otherSubject = new TokenRecord(
                "jti-1", "s-2", "p", null, now, ExtraData.of(Map.of("k", "v-1")), now, now, null, null, null);
        var otherData = new TokenRecord(
                "jti-1", "s-1", "p", null, now, ExtraData.of(Map.of("k", "v-2")), now, now, null, null, null);
        var otherPurpose = new TokenRecord(
                "jti-1", "s-1", "q", null, now, ExtraData.of(Map.of("k", "v-1")), now, now, null, null, null);
        assertThat(Records.difference(record, otherJti)).hasToString("jti is not what it should be");
        assertThat(Records.difference(record, otherSubject)).hasToString("subject is not what it should be");
        assertThat(Records.difference(record, otherData)).hasToString("extraData is not what it should be");
        assertThat(Records.difference(record, otherPurpose)).hasToString("purpose is p instead of q");
        assertThat(Records.difference(record, record)).isNull();
        assertThat(Records.difference(List.of(record), List.of(otherPurpose)))
                .isEqualTo("of record 0 of the page, purpose is p instead of q");
        assertThat(Records.difference(List.of(record), List.of())).isEqualTo("the page has 1 records instead of 0");
    }

    @Test
    void theKitPrintsALineForEachGroupOfRules() {
        PrintStream before = System.out;
        var printed = new ByteArrayOutputStream();
        System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
        try {
            LauncherFactory.create()
                    .execute(request()
                            .selectors(
                                    selectMethod(SmallKit.class, "everyRule_randomHistoriesAnswerAsTheModelDoes"),
                                    selectMethod(SmallKit.class, "R10_1_domainsAndTenantsNeverSeeEachOthersRecords"),
                                    selectMethod(SmallKit.class, "R2_4_anExpiredTokenIsNotStored"),
                                    selectMethod(SmallKit.class, "R1_1_checkKnowsTheMillisecondOfExpiry"),
                                    selectMethod(SmallKit.class, "R1_1_getTokenKnowsTheMillisecondOfExpiry"))
                            .build());
        } finally {
            System.setOut(before);
        }
        assertThat(printed.toString(StandardCharsets.UTF_8).lines().filter(line -> line.startsWith("Curfew kit")))
                .map(line -> line.replaceFirst("\\d+\\.\\d s$", "0.1 s"))
                .containsExactly(
                        "Curfew kit, SmallKit: R1 Time, 2 tests in 0.1 s",
                        "Curfew kit, SmallKit: R2 Store and get, 1 test in 0.1 s",
                        "Curfew kit, SmallKit: R10 Isolation, 1 test in 0.1 s",
                        "Curfew kit, SmallKit: All rules at once, and your own tests, 1 test in 0.1 s",
                        "Curfew kit, SmallKit: the year 1999 was left out, because the test says so");
    }

    static class SmallKit extends ExpungingStoreContract {
        private final TokenStore store = new ModelTokenStore();

        @Override
        protected TokenStore newStore() {
            return store;
        }

        @Override
        protected TokenStore anotherStore() {
            return store;
        }

        @Override
        protected String noPastBecause() {
            return "the test says so";
        }

        @Override
        protected int modelSteps() {
            return 100;
        }
    }
}
