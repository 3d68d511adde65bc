package dev.curfew.servers;

import java.nio.file.Files;
import java.nio.file.Path;

/** A server that runs as processes of this machine, with a folder and a port of its own. */
abstract class LocalProcess implements ServerProcess {
    final Path folder = ServerFolder.create();
    private final int port = ServerFolder.freePort();

    LocalProcess() {
        // A test that is interrupted, or forgets, leaves no server behind.
        Runtime.getRuntime().addShutdownHook(new Thread(this::close));
    }

    /** The processes of the server, which runs. */
    abstract ProcessTree processes();

    /** Ends the server if it runs. */
    abstract void end();

    @Override
    public void kill() {
        processes().kill();
    }

    @Override
    public final void pause() {
        processes().signal("STOP");
    }

    @Override
    public final void resume() {
        processes().signal("CONT");
    }

    @Override
    public final int port() {
        return port;
    }

    @Override
    public final String kind() {
        return "embedded";
    }

    @Override
    public final synchronized void close() {
        if (Files.exists(folder)) {
            end();
            ServerFolder.remove(folder);
        }
    }
}
