package dev.curfew.servers;

import de.bwaldvogel.mongo.MongoBackend;
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;

/**
 * Speaks MongoDB's protocol, in a process of its own, so that it can be paused and stopped: {@code PORT FOLDER}, and
 * {@code --keep} where it shall have its data again when it was stopped and is started.
 */
final class MongoStandIn {

    private MongoStandIn() {}

    /** Runs until it is told to end (SIGTERM). */
    public static void main(String[] arguments) {
        boolean keeps = arguments.length > 2;
        MongoBackend backend = keeps ? new H2Backend(arguments[1] + "/data.mv") : new MemoryBackend();
        var server = new MongoServer(backend);
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
        server.bind("localhost", Integer.parseInt(arguments[0]));
    }
}
