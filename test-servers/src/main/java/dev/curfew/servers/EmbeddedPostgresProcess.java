package dev.curfew.servers;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** A PostgreSQL from a Maven artifact, as root too. */
final class EmbeddedPostgresProcess extends LocalProcess {
    private final Map<String, String> settings;
    private @Nullable EmbeddedPostgres server;

    EmbeddedPostgresProcess(Map<String, String> settings) {
        this.settings = settings;
    }

    /** A process on a copy of this one's files, taken while it runs; {@code pg_wal} is left empty. */
    EmbeddedPostgresProcess copy() {
        var copy = new EmbeddedPostgresProcess(settings);
        try (Stream<Path> files = Files.walk(data())) {
            for (Path file : files.toList()) {
                Path relative = data().relativize(file);
                boolean skipped = relative.toString().matches("postmaster\\..*|epg-lock|pg_wal/[0-9A-F]{24}");
                if (!skipped) {
                    try {
                        Files.copy(file, copy.data().resolve(relative), StandardCopyOption.COPY_ATTRIBUTES);
                    } catch (NoSuchFileException e) {
                        // A temporary file of the server's, which is gone again.
                    }
                }
            }
            return copy;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    Path data() {
        return folder.resolve("data");
    }

    @Override
    public synchronized void start() {
        release();
        EmbeddedPostgres.Builder builder = EmbeddedPostgres.builder()
                .setOverrideWorkingDirectory(ServerFolder.binaries().toFile())
                .setDataDirectory(data())
                .setCleanDataDirectory(false)
                .setRegisterShutdownHook(false)
                .setPGStartupWait(Duration.ofMinutes(1))
                .setPort(port());
        // At every start: left alone, it is started without fsync.
        settings.forEach(builder::setServerConfig);
        try {
            server = builder.start();
        } catch (IOException e) {
            throw new UncheckedIOException("The embedded PostgreSQL did not start", e);
        }
    }

    /** Lets go of a server that was killed: until then its data directory is locked. */
    private void release() {
        if (server != null) {
            try {
                server.close();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            server = null;
        }
    }

    @Override
    ProcessTree processes() {
        try {
            long postmaster = Long.parseLong(
                    Files.readAllLines(data().resolve("postmaster.pid")).get(0).trim());
            return ProcessTree.of(ProcessHandle.of(postmaster)
                    .orElseThrow(() -> new IllegalStateException("The PostgreSQL server is not running")));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    void end() {
        if (Files.exists(data().resolve("postmaster.pid"))) {
            try {
                kill();
            } catch (RuntimeException e) {
                // It was killed before.
            }
        }
        release();
    }
}
