package dev.curfew.mongo;

import com.mongodb.client.MongoClient;
import dev.curfew.TokenStore;
import dev.curfew.servers.MongoServer;
import dev.curfew.tck.ExpungingStoreContract;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;

/** The kit. */
class MongoTokenStoreTest extends ExpungingStoreContract {
    private static MongoServer server;
    private static MongoClient client;
    private static MongoClient clientOfAnotherNode;

    @BeforeAll
    static void connect() {
        server = MongoServer.shared();
        client = server.connect();
        clientOfAnotherNode = server.connect();
    }

    @AfterAll
    static void disconnect() {
        client.close();
        clientOfAnotherNode.close();
    }

    @Override
    protected TokenStore newStore() {
        return MongoTokenStore.create(client.getDatabase("curfew_kit"));
    }

    @Override
    protected TokenStore anotherStore() {
        return MongoTokenStore.create(clientOfAnotherNode.getDatabase("curfew_kit"));
    }

    /** In the same database. */
    @Override
    protected String url() {
        return server.url().replaceFirst("^(mongodb(?:\\+srv)?://[^/?]*)/?[^?]*", "$1/curfew_kit");
    }

    @Override
    protected @Nullable String noPastBecause() {
        return server.isReal() ? "a real MongoDB removes at once what expired in the past" : null;
    }

    @Override
    protected @Nullable String noOrderBeyondFfffBecause() {
        return server.isReal() ? null : "the stand-in sorts text as Java does, and a real MongoDB by its bytes";
    }

    @Override
    protected @Nullable String noRaisedSkewBecause() {
        return server.isReal()
                ? null
                : "the stand-in has no collMod, by which a real MongoDB keeps documents for longer";
    }

    @Override
    protected @Nullable Runnable blockServer(String domain) {
        return server.block();
    }

    private static int least(int asked, int real, int standIn) {
        return Boolean.getBoolean("curfew.test.full") ? asked : Math.min(asked, server.isReal() ? real : standIn);
    }

    /** A stand-in has one thread for all that changes, and is asked for less. */
    @Override
    protected int races() {
        return least(super.races(), 25_000, 1_000);
    }

    /** It looks at every document for whatever is not asked for by its {@code _id}. */
    @Override
    protected int manyRecords() {
        return least(super.manyRecords(), 100_000, 5_000);
    }

    @Override
    protected int modelSteps() {
        return least(super.modelSteps(), 20_000, 5_000);
    }

    @AfterEach
    final void removeWhatItLeft() {
        client.getDatabase("curfew_kit").drop();
    }
}
