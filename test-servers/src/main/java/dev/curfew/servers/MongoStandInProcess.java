package dev.curfew.servers;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A server that speaks MongoDB's protocol and is none, from a Maven artifact, as a process of its own. */
final class MongoStandInProcess extends ChildProcess {

    /** @param keeps whether it has its data again after it was stopped; it is slower then */
    MongoStandInProcess(boolean keeps) {
        super("The stand-in for MongoDB", (folder, port) -> command(folder, port, keeps));
    }

    private static List<String> command(Path folder, int port, boolean keeps) {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx4g",
                "-cp",
                System.getProperty("java.class.path"),
                MongoStandIn.class.getName(),
                Integer.toString(port),
                // By this folder a server is found that was left behind, too.
                folder + "/"));
        if (keeps) {
            command.add("--keep");
        }
        return command;
    }

    /** Ends it with SIGTERM: its files do not survive a {@code kill -9}. */
    @Override
    public synchronized void kill() {
        if (process == null) {
            return;
        }
        process.destroy();
        try {
            if (!process.waitFor(20, TimeUnit.SECONDS)) {
                throw new IllegalStateException("The stand-in for MongoDB does not end");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
        process = null;
    }
}
