package dev.curfew.servers;

/** A server that is ours to mistreat: a process, or a container. */
interface ServerProcess extends AutoCloseable {

    /** Starts it on the data and the port that it had before, if it had any. */
    void start();

    /** {@code kill -9} of all of its processes at once. */
    void kill();

    /** Stops its processes where they are (SIGSTOP): it accepts, and does not answer. */
    void pause();

    /** Lets its processes go on (SIGCONT). */
    void resume();

    /** The port on this machine. */
    int port();

    /** What it is, for people: {@code embedded}. */
    String kind();

    /** Ends it and removes its data. */
    @Override
    void close();
}
