package dev.curfew.mongo;

import static dev.curfew.servers.Fixture.token;

import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoCollection;
import com.mongodb.client.MongoDatabase;
import com.mongodb.client.model.Filters;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.MongoServer;
import java.util.Map;
import java.util.UUID;
import org.bson.RawBsonDocument;
import org.junit.jupiter.api.Test;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Prints how many bytes of BSON a document has, for the adapter's page; started by hand, see CONTRIBUTING.md. */
class SizeMeasurement {
    private static final Logger LOG = LoggerFactory.getLogger(SizeMeasurement.class);
    private static final String SUBJECT = "subject-123";

    private final String jti = UUID.randomUUID().toString();

    @Test
    void bytesOfADocument() {
        measure("revoked, never stored", tokens -> tokens.revokeToken(token(jti, SUBJECT)));
        measure("stored", tokens -> tokens.storeToken(token(jti, SUBJECT)));
        measure(
                "stored with 100 bytes of extra data",
                tokens -> tokens.storeToken(token(jti, SUBJECT), "user", Map.of("k", "x".repeat(92))));
        measure("stored and revoked", tokens -> {
            tokens.storeToken(token(jti, SUBJECT));
            tokens.revokeJti(jti);
        });
        String session = UUID.randomUUID().toString();
        measure(
                "stored with a session",
                tokens -> tokens.storeToken(token(jti, SUBJECT).withSession(session)));
        measure("rotated", tokens -> {
            Token presented = token(jti, SUBJECT).withSession(session);
            tokens.storeToken(presented);
            Token successor = token(UUID.randomUUID().toString(), SUBJECT).withSession(session);
            tokens.rotate(presented, Token.DEFAULT_PURPOSE, successor);
        });
        measure("a watermark", tokens -> tokens.revokeSubject(SUBJECT));
        measure("a revoked session", tokens -> tokens.revokeSession(session));
    }

    private interface Action {
        void on(TokenResource tokens);
    }

    private static void measure(String what, Action action) {
        String domain = Fixture.newDomain();
        try (MongoClient client = MongoServer.shared().connect()) {
            MongoDatabase database = client.getDatabase("curfew_size");
            try (TokenResource tokens = Fixture.resource(MongoTokenStore.create(database), domain)) {
                action.on(tokens);
            }
            MongoCollection<RawBsonDocument> collection =
                    database.getCollection("curfew_" + domain, RawBsonDocument.class);
            // Without the document of the domain's skew.
            for (RawBsonDocument document : collection.find(Filters.ne("_id", "@"))) {
                LOG.info("{}: {} bytes: {}", what, document.getByteBuffer().remaining(), document.toJson());
            }
            database.drop();
        }
    }
}
