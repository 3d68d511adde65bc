package dev.curfew.servers;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A server that a test may mistreat, unless it was named by its URL: then it is not ours. */
public abstract class TestServer implements AutoCloseable {
    private final @Nullable ServerProcess process;

    /** @param process null where the server was named by its URL */
    TestServer(@Nullable ServerProcess process) {
        this.process = process;
    }

    /** The URL of a server that tests are told to use, or {@code null}. The property goes before the variable. */
    static @Nullable String named(String property, String variable) {
        String named = System.getProperty(property, System.getenv(variable));
        return named == null || named.isBlank() ? null : named;
    }

    static Map<String, String> withDefaults(Map<String, String> defaults, Map<String, String> settings) {
        Map<String, String> all = new LinkedHashMap<>(defaults);
        all.putAll(settings);
        return all;
    }

    final boolean isOurs() {
        return process != null;
    }

    final ServerProcess process() {
        if (process == null) {
            throw new IllegalStateException("A server that was named by its URL is not ours to mistreat");
        }
        return process;
    }

    /** Where the server comes from, for people: {@code embedded}. */
    final String origin() {
        return process == null ? "named by its URL" : process.kind();
    }

    /** Returns when the server answers. */
    abstract void awaitAnswer();

    /** The port on this machine. A restart does not change it. */
    public int port() {
        return process().port();
    }

    /** {@code kill -9} of all of its processes at once. */
    public final void kill() {
        process().kill();
    }

    /** Starts it again on its data and its port, and returns when it answers. */
    public final void restart() {
        process().start();
        awaitAnswer();
    }

    /** Stops it where it is (SIGSTOP): it accepts connections, and does not answer. */
    public final void pause() {
        process().pause();
    }

    /** Lets it go on. */
    public final void resume() {
        process().resume();
    }

    /** Pauses the server, and returns the action that resumes it, as the kit asks. Null where the server is not ours. */
    public final @Nullable Runnable block() {
        if (!isOurs()) {
            return null;
        }
        pause();
        return this::resume;
    }

    /** Ends it and removes its data. */
    @Override
    public final void close() {
        process().close();
    }
}
