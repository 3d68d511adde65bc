package dev.curfew.servers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/**
 * Where the servers of this JVM keep their data: {@code <tmp>/curfew-test-servers-<user>/<pid>-<start>-<n>}. A JVM that
 * died hard leaves its servers running; the next one that starts a server ends them and removes their data.
 */
public final class ServerFolder {
    private static final Path ROOT =
            Path.of(System.getProperty("java.io.tmpdir"), "curfew-test-servers-" + System.getProperty("user.name"));
    // The time of a process' start is reckoned from the machine's, which another JVM may know as another second.
    private static final long SAME_START_MILLIS = 60_000;

    private static final AtomicInteger COUNT = new AtomicInteger();
    private static boolean swept;

    private ServerFolder() {}

    /** What is unpacked once and used by all. */
    static Path binaries() {
        return ROOT.resolve("binaries");
    }

    /** A new folder for one server. */
    public static synchronized Path create() {
        try {
            Files.createDirectories(ROOT);
            if (!swept) {
                swept = true;
                sweep();
            }
            return Files.createDirectory(ROOT.resolve(ProcessHandle.current().pid() + "-"
                    + start(ProcessHandle.current()) + "-" + COUNT.incrementAndGet()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static long start(ProcessHandle owner) {
        return owner.info()
                .startInstant()
                .map(instant -> instant.toEpochMilli())
                .orElse(0L);
    }

    static void remove(Path folder) {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A port that nobody listens on. */
    public static int freePort() {
        try (var socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void sweep() throws IOException {
        List<Path> folders;
        try (Stream<Path> all = Files.list(ROOT)) {
            folders = all.filter(folder -> folder.getFileName().toString().matches("\\d+-\\d+-\\d+"))
                    .toList();
        }
        for (Path folder : folders) {
            String[] owned = folder.getFileName().toString().split("-", 3);
            boolean alive = ProcessHandle.of(Long.parseLong(owned[0]))
                    .filter(owner -> Math.abs(start(owner) - Long.parseLong(owned[1])) < SAME_START_MILLIS)
                    .isPresent();
            if (!alive) {
                orphans(folder).forEach(orphan -> ProcessTree.of(orphan).kill());
                remove(folder);
            }
        }
    }

    /** The processes that were started with this folder in their arguments. */
    private static List<ProcessHandle> orphans(Path folder) {
        String mark = folder + "/";
        return ProcessHandle.allProcesses()
                .filter(process -> {
                    Optional<String> line = process.info().commandLine();
                    return line.isPresent() && line.get().contains(mark);
                })
                .toList();
    }
}
