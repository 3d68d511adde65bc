package dev.curfew.servers;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A PgBouncer in transaction mode before a PostgreSQL server, where one is installed on this machine. It refuses to run as
 * root, and then runs as {@code nobody}.
 */
public final class PgBouncer implements AutoCloseable {
    private final ChildProcess process;

    private PgBouncer(Path binary, int server, int connections) {
        process = new ChildProcess("PgBouncer", (folder, port) -> {
            // PgBouncer's own user has to read it.
            Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-xr-x"));
            Path configuration = folder.resolve("pgbouncer.ini");
            Files.writeString(configuration, configuration(port, server, connections));
            Files.setPosixFilePermissions(configuration, PosixFilePermissions.fromString("rw-r--r--"));
            List<String> command = new ArrayList<>(List.of(binary.toString()));
            if ("root".equals(System.getProperty("user.name"))) {
                command.addAll(List.of("-u", "nobody"));
            }
            command.add(configuration.toString());
            return command;
        });
        process.start();
        Condition.await("PgBouncer listens", this::listens);
        ServersUsed.add(version(binary) + ", installed");
    }

    private static String configuration(int port, int server, int connections) {
        return String.join(
                "\n",
                List.of(
                        "[databases]",
                        "postgres = host=127.0.0.1 port=" + server + " dbname=postgres user=postgres password=postgres",
                        "[pgbouncer]",
                        "listen_addr = 127.0.0.1",
                        "listen_port = " + port,
                        "unix_socket_dir =",
                        "auth_type = any",
                        "pool_mode = transaction",
                        "default_pool_size = " + connections,
                        "ignore_startup_parameters = extra_float_digits",
                        ""));
    }

    /** Whether one is installed. */
    public static boolean isThere() {
        return binary() != null;
    }

    /**
     * Starts one.
     *
     * @param server the port of a PostgreSQL server on this machine, with a superuser {@code postgres}
     * @param connections how many connections to the server all clients share
     * @throws IllegalStateException if none is installed
     */
    public static PgBouncer before(int server, int connections) {
        Path binary = binary();
        if (binary == null) {
            throw new IllegalStateException("There is no pgbouncer on the PATH, nor in /usr/sbin");
        }
        return new PgBouncer(binary, server, connections);
    }

    /** The port on this machine. */
    public int port() {
        return process.port();
    }

    private static @Nullable Path binary() {
        // Debian has it where only root looks for programs.
        String path = Objects.requireNonNullElse(System.getenv("PATH"), "") + ":/usr/sbin";
        return Stream.of(path.split(":", -1))
                .filter(folder -> !folder.isEmpty())
                .map(folder -> Path.of(folder, "pgbouncer"))
                .filter(Files::isExecutable)
                .findFirst()
                .orElse(null);
    }

    private static String version(Path binary) {
        try {
            Process asked = new ProcessBuilder(binary.toString(), "--version").start();
            try (var reader =
                    new BufferedReader(new InputStreamReader(asked.getInputStream(), StandardCharsets.UTF_8))) {
                return Objects.requireNonNullElse(reader.readLine(), "PgBouncer");
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private boolean listens() {
        process.processes(); // fails, with the log, where it does not run
        try (var socket = new Socket(InetAddress.getLoopbackAddress(), port())) {
            return socket.isConnected();
        } catch (IOException e) {
            return false;
        }
    }

    @Override
    public void close() {
        process.close();
    }
}
