package dev.curfew.mongo;

import static dev.curfew.servers.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.mongodb.client.MongoClient;
import dev.curfew.RevokeOutcome;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.MongoServer;
import java.util.Set;
import org.bson.Document;
import org.junit.jupiter.api.Test;

/** What is left of a store that was closed, and of a client. */
class ClosingTest {
    private final String domain = Fixture.newDomain();

    @Test
    void R8_6_noThreadStaysBehind() {
        Set<Thread> before = Thread.getAllStackTraces().keySet();
        TokenResource tokens =
                Fixture.builder(domain).url(MongoServer.shared().url()).build();
        assertThat(tokens.revokeToken(token("t", "s"))).isEqualTo(RevokeOutcome.REVOKED);
        tokens.close();
        await().untilAsserted(() -> assertThat(Thread.getAllStackTraces().keySet())
                .filteredOn(thread -> !before.contains(thread))
                .filteredOn(thread -> thread.getName().matches("(?i)(curfew|cluster|maintenance|async|.*mongo).*"))
                .isEmpty());
        assertThatThrownBy(() -> tokens.inspect("t"))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("closed");
        tokens.close();
    }

    @Test
    void R8_6_theApplicationsClientStaysOpen() {
        try (MongoClient client = MongoServer.shared().connect()) {
            MongoTokenStore store = MongoTokenStore.create(client.getDatabase("curfew"));
            TokenResource tokens = Fixture.resource(store, domain);
            tokens.revokeToken(token("t", "s"));
            tokens.close();
            store.close();
            store.close();
            assertThatThrownBy(() -> store.isRevoked(Fixture.scope(domain), "t", Fixture.NOW))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("closed");
            // The record, and the skew of the domain.
            assertThat(client.getDatabase("curfew")
                            .getCollection("curfew_" + domain)
                            .countDocuments())
                    .isEqualTo(2);
            client.getDatabase("curfew").getCollection("curfew_" + domain).drop();
            assertThat(client.getDatabase("admin")
                            .runCommand(new Document("ping", 1))
                            .get("ok"))
                    .isNotNull();
        }
    }

    @Test
    void aClientThatTheApplicationHasClosedIsSaid() {
        MongoClient client = MongoServer.shared().connect();
        try (TokenResource tokens = Fixture.resource(MongoTokenStore.create(client.getDatabase("curfew")), domain)) {
            client.getDatabase("curfew").getCollection("curfew_" + domain).drop();
            client.close();
            assertThatThrownBy(() -> tokens.revokeJti("t"))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContainingAll("has closed the MongoClient", domain);
        }
    }
}
