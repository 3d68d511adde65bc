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
            return Files.createDirectory(ROOT.resolve(name(ProcessHandle.current()) + "-" + COUNT.incrementAndGet()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String name(ProcessHandle owner) {
        long start = owner.info()
                .startInstant()
                .map(instant -> instant.toEpochMilli())
                .orElse(0L);
        return owner.pid() + "-" + start;
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
            String owned = folder.getFileName().toString();
            long owner = Long.parseLong(owned.substring(0, owned.indexOf('-')));
            boolean alive = ProcessHandle.of(owner)
                    .filter(process -> owned.startsWith(name(process) + "-"))
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
