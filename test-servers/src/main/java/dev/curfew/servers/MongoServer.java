package dev.curfew.servers;

import com.mongodb.ConnectionString;
import com.mongodb.MongoClientSettings;
import com.mongodb.MongoException;
import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoClients;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.bson.Document;
import org.jspecify.annotations.Nullable;

/**
 * A MongoDB, or what stands in for one. Which: where tests share one, that of the system property {@value #PROPERTY} or
 * the environment variable {@value #VARIABLE}; else one in a container, where Docker answers, as a replica set of one
 * member; else a re-implementation of its protocol, since no Maven artifact has a MongoDB. {@link #isReal} tells.
 */
public final class MongoServer extends TestServer {
    /** Names a server for {@link #shared}: {@code mongodb://host/?replicaSet=rs0}, whose data tests may remove. */
    public static final String PROPERTY = "curfew.test.mongo.uri";

    /** Names a server for {@link #shared}, where the property does not. */
    public static final String VARIABLE = "CURFEW_TEST_MONGO_URI";

    private static final String REPLICA_SET = "rs0";

    private static @Nullable MongoServer shared;

    private final boolean isReal;
    private final String url;

    private MongoServer(@Nullable ServerProcess process, String url) {
        super(process);
        this.isReal = !(process instanceof MongoStandInProcess);
        this.url = url;
        awaitAnswer();
        ServersUsed.add(description());
    }

    /** The server for all tests of this JVM that do it no harm; never closed, and it keeps nothing. */
    public static synchronized MongoServer shared() {
        if (shared == null) {
            String named = named(PROPERTY, VARIABLE);
            shared = named == null ? started(false) : new MongoServer(null, named);
        }
        return shared;
    }

    /** Whether {@link #shared} is or would be a MongoDB, and no stand-in; starts nothing. */
    public static boolean isThere() {
        return named(PROPERTY, VARIABLE) != null || DockerProcess.isAvailable();
    }

    /**
     * A server of the test's own, to be stopped, paused and restarted, which keeps what it acknowledged: for good, also
     * after a {@code kill -9}, where it {@link #isReal}.
     */
    public static MongoServer start() {
        return started(true);
    }

    private static MongoServer started(boolean keeps) {
        ServerProcess process = DockerProcess.isAvailable()
                ? DockerProcess.mongo(System.getProperty("curfew.test.mongo.image", "8"), REPLICA_SET)
                : new MongoStandInProcess(keeps);
        process.start();
        return new MongoServer(process, url(process.port()));
    }

    /** The URL of a MongoDB on this machine at a port, such as a {@link TcpProxy}'s: of it alone, whoever else is there. */
    public static String url(int port) {
        return "mongodb://localhost:" + port + "/?directConnection=true";
    }

    /** The URL: as it was named, or {@link #url(int)}. */
    public String url() {
        return url;
    }

    /** Whether it is a MongoDB; a stand-in knows no journal, no majority, no TTL, and is stopped where it should be killed. */
    public boolean isReal() {
        return isReal;
    }

    /** A client of the caller's own, with the driver's defaults. */
    public MongoClient connect() {
        return MongoClients.create(url);
    }

    private boolean answers() {
        var settings = MongoClientSettings.builder()
                .applyConnectionString(new ConnectionString(url))
                .applyToClusterSettings(cluster -> cluster.serverSelectionTimeout(2, TimeUnit.SECONDS));
        try (MongoClient client = MongoClients.create(settings.build())) {
            Document hello = client.getDatabase("admin").runCommand(new Document("isMaster", 1));
            if (hello.getBoolean("isreplicaset", false) && isOurs()) {
                Document member = new Document("_id", 0).append("host", "localhost:" + port());
                Document config = new Document("_id", REPLICA_SET).append("members", List.of(member));
                client.getDatabase("admin").runCommand(new Document("replSetInitiate", config));
            }
            return hello.getBoolean("ismaster", false);
        } catch (MongoException e) {
            return false;
        }
    }

    private String description() {
        if (!isReal) {
            return "mongo-java-server, a stand-in for MongoDB, embedded";
        }
        try (MongoClient client = connect()) {
            Document info = client.getDatabase("admin").runCommand(new Document("buildInfo", 1));
            return "MongoDB " + info.getString("version") + ", " + origin();
        }
    }

    @Override
    void awaitAnswer() {
        Condition.await("a MongoDB answers", this::answers);
    }

    /** All documents of a collection as JSON. */
    public List<String> documents(String database, String collection) {
        List<String> documents = new ArrayList<>();
        try (MongoClient client = connect()) {
            client.getDatabase(database).getCollection(collection).find().forEach(each -> documents.add(each.toJson()));
        }
        return documents;
    }
}
