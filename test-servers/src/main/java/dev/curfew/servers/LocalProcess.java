package dev.curfew.servers;

/** A server that runs as processes of this machine. */
interface LocalProcess extends ServerProcess {

    /** Its processes. */
    ProcessTree processes();

    @Override
    default void kill() {
        processes().kill();
    }

    @Override
    default void pause() {
        processes().signal("STOP");
    }

    @Override
    default void resume() {
        processes().signal("CONT");
    }

    @Override
    default String kind() {
        return "embedded";
    }
}
