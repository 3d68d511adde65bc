package dev.curfew.servers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** A server that speaks MongoDB's protocol and is none, from a Maven artifact, as a process of its own. */
final class MongoStandInProcess implements LocalProcess {
    private final Path folder = ServerFolder.create();
    private final int port = ServerFolder.freePort();
    private final boolean keeps;
    private @Nullable Process process;

    /** @param keeps whether it has its data again after it was stopped; it is slower then */
    MongoStandInProcess(boolean keeps) {
        this.keeps = keeps;
        // A test that is interrupted, or forgets, leaves no server behind.
        Runtime.getRuntime().addShutdownHook(new Thread(this::close));
    }

    @Override
    public synchronized void start() {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx4g",
                "-cp",
                System.getProperty("java.class.path"),
                MongoStandIn.class.getName(),
                Integer.toString(port),
                // Also, by this folder a server is found that was left behind.
                folder + "/"));
        if (keeps) {
            command.add("--keep");
        }
        try {
            process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.appendTo(
                            folder.resolve("log").toFile()))
                    .start();
        } catch (IOException e) {
            throw new UncheckedIOException("The stand-in for MongoDB did not start", e);
        }
    }

    @Override
    public ProcessTree processes() {
        if (process == null || !process.isAlive()) {
            throw new IllegalStateException("The stand-in for MongoDB is not running; its log: " + log());
        }
        return ProcessTree.of(process.toHandle());
    }

    private String log() {
        try {
            return Files.readString(folder.resolve("log"));
        } catch (IOException e) {
            return e.toString();
        }
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

    @Override
    public int port() {
        return port;
    }

    @Override
    public synchronized void close() {
        if (process != null) {
            ProcessTree.of(process.toHandle()).kill();
            process = null;
        }
        if (Files.exists(folder)) {
            ServerFolder.remove(folder);
        }
    }
}
