package dev.curfew.servers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** A process and all that it has started. */
final class ProcessTree {
    private final List<ProcessHandle> processes;

    private ProcessTree(List<ProcessHandle> processes) {
        this.processes = processes;
    }

    static ProcessTree of(ProcessHandle root) {
        return new ProcessTree(
                Stream.concat(Stream.of(root), root.descendants()).toList());
    }

    /** Kills all of it, and returns when all of it has ended. */
    void kill() {
        processes.forEach(ProcessHandle::destroyForcibly);
        for (ProcessHandle process : processes) {
            try {
                process.onExit().get(10, TimeUnit.SECONDS);
            } catch (Exception e) {
                throw new IllegalStateException("Process " + process.pid() + " survived its kill -9", e);
            }
        }
    }

    /**
     * Sends a signal, such as {@code STOP}, to the root, and then to all that it has started until then: a root that is
     * stopped starts no more. A child may end meanwhile.
     */
    void signal(String name) {
        ProcessHandle root = processes.get(0);
        send(name, List.of(root), root);
        send(name, root.descendants().toList(), root);
    }

    private static void send(String name, List<ProcessHandle> processes, ProcessHandle root) {
        for (ProcessHandle process : processes) {
            try {
                Process kill = new ProcessBuilder("kill", "-" + name, Long.toString(process.pid()))
                        .redirectErrorStream(true)
                        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                        .start();
                boolean sent = kill.waitFor(10, TimeUnit.SECONDS) && kill.exitValue() == 0;
                if (!sent && (process.isAlive() || process.equals(root))) {
                    throw new IllegalStateException("The signal " + name + " could not be sent");
                }
                while (name.equals("STOP") && isRunning(process)) {
                    Thread.onSpinWait();
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException(e);
            }
        }
    }

    /** Whether a thread of the process is not stopped yet; where the system does not tell, none is. */
    private static boolean isRunning(ProcessHandle process) {
        Path threads = Path.of("/proc", Long.toString(process.pid()), "task");
        try (Stream<Path> all = Files.list(threads)) {
            return all.anyMatch(thread -> {
                try {
                    // "42 (name) S …": the state stands behind the name, which may have any characters.
                    String state = Files.readString(thread.resolve("stat"));
                    return "RSD".indexOf(state.charAt(state.lastIndexOf(')') + 2)) >= 0;
                } catch (IOException e) {
                    return false; // it has ended
                }
            });
        } catch (IOException e) {
            return false;
        }
    }
}
