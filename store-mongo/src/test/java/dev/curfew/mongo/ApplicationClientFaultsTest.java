package dev.curfew.mongo;

import com.mongodb.ConnectionString;
import com.mongodb.MongoClientSettings;
import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoClients;
import dev.curfew.FailurePolicy;
import dev.curfew.TokenResource;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.MongoServer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;

/** The same with a client of the application's, which repeats no writes. */
class ApplicationClientFaultsTest extends FaultsTest {
    private final List<MongoClient> clients = new ArrayList<>();

    @Override
    protected TokenResource open(int port, FailurePolicy policy) {
        MongoClientSettings.Builder settings = MongoClientSettings.builder()
                .applyConnectionString(new ConnectionString(MongoServer.url(port) + "&retryWrites=false"))
                // As the adapter's page advises.
                .applyToServerSettings(server -> server.minHeartbeatFrequency(50, TimeUnit.MILLISECONDS));
        MongoClient client = MongoClients.create(settings.build());
        clients.add(client);
        return Fixture.opened(builder(policy).store(MongoTokenStore.create(client.getDatabase("curfew"))));
    }

    @AfterEach
    final void closeClients() {
        clients.forEach(MongoClient::close);
    }
}
