package dev.curfew.servers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A server that is started by a command, and stays a child of this JVM. */
class ChildProcess extends LocalProcess {
    private final String name;
    private final List<String> command;

    @Nullable
    Process process;

    /** Writes the files that a server needs in its folder, and answers the command that starts the server. */
    interface Preparation {
        List<String> prepare(Path folder, int port) throws IOException;
    }

    /**
     * Prepares a server, and does not start it.
     *
     * @param name the server, for messages: {@code The Redis server}
     */
    ChildProcess(String name, Preparation preparation) {
        this.name = name;
        try {
            command = preparation.prepare(folder, port());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public final synchronized void start() {
        try {
            process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.appendTo(
                            folder.resolve("out").toFile()))
                    .start();
        } catch (IOException e) {
            throw new UncheckedIOException(name + " did not start", e);
        }
    }

    @Override
    final ProcessTree processes() {
        if (process == null || !process.isAlive()) {
            throw new IllegalStateException(name + " is not running; its log: " + log());
        }
        return ProcessTree.of(process.toHandle());
    }

    /** Everything that the server has printed, or written to a file {@code log}. */
    private String log() {
        try {
            String out = Files.readString(folder.resolve("out"));
            Path log = folder.resolve("log");
            return Files.exists(log) ? out + Files.readString(log) : out;
        } catch (IOException e) {
            return e.toString();
        }
    }

    @Override
    final void end() {
        if (process != null) {
            ProcessTree.of(process.toHandle()).kill();
            process = null;
        }
    }
}
