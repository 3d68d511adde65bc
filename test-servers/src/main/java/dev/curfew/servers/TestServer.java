package dev.curfew.servers;

/** A server that a test may mistreat. */
public interface TestServer extends AutoCloseable {

    /** The port on this machine, which it keeps. */
    int port();

    /** {@code kill -9} of all of its processes at once. */
    void kill();

    /** Starts it again on its data and its port, and returns when it answers. */
    void restart();

    /** Stops it where it is (SIGSTOP): it accepts connections, and does not answer. */
    void pause();

    /** Lets it go on. */
    void resume();

    /** Ends it and removes its data. */
    @Override
    void close();
}
