package dev.curfew.servers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.mongodb.MongoException;
import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoClients;
import com.mongodb.client.MongoCollection;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.bson.Document;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What the tests of the MongoDB store rely on. */
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class MongoServerTest {

    private static MongoCollection<Document> collection(MongoClient client) {
        return client.getDatabase("test").getCollection("survivors");
    }

    @Test
    void itKeepsWhatItAcknowledgedAlsoAfterAStop() {
        try (MongoServer server = MongoServer.start();
                MongoClient client =
                        MongoClients.create(MongoServer.url(server.port()) + "&serverSelectionTimeoutMS=30000")) {
            for (int round = 0; round < 3; round++) {
                collection(client).insertOne(new Document("_id", round));
                server.kill();
                try (MongoClient hasty =
                        MongoClients.create(MongoServer.url(server.port()) + "&serverSelectionTimeoutMS=300")) {
                    assertThatThrownBy(() -> collection(hasty).countDocuments()).isInstanceOf(MongoException.class);
                }
                server.restart();
                assertThat(collection(client).countDocuments()).isEqualTo(round + 1);
            }
        }
    }

    @Test
    void whilePausedItAcceptsAndDoesNotAnswer() throws Exception {
        try (MongoServer server = MongoServer.start();
                MongoClient client = server.connect()) {
            assertThat(collection(client).countDocuments()).isZero();
            server.pause();
            CompletableFuture<Long> answer =
                    CompletableFuture.supplyAsync(() -> collection(client).countDocuments());
            assertThatThrownBy(() -> answer.get(300, TimeUnit.MILLISECONDS)).isInstanceOf(TimeoutException.class);
            server.resume();
            assertThat(answer.get(1, TimeUnit.MINUTES)).isZero();
        }
    }

    @Test
    void aReplyIsLostOnceAndTheRequestDone() {
        try (MongoServer server = MongoServer.start();
                TcpProxy proxy = TcpProxy.to("localhost", server.port());
                MongoClient client =
                        MongoClients.create(MongoServer.url(proxy.port()) + "&retryWrites=false&retryReads=false")) {
            assertThat(collection(client).countDocuments()).isZero();
            proxy.cutOnReplyTo("insert");
            assertThatThrownBy(() -> collection(client).insertOne(new Document("_id", 1)))
                    .isInstanceOf(MongoException.class);
            assertThat(collection(client).countDocuments()).isEqualTo(1);
        }
    }
}
