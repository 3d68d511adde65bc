package dev.curfew.servers;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A Redis from a Maven artifact. */
final class EmbeddedRedisProcess implements LocalProcess {
    private static final Map<String, String> PATCHES = Map.of("7.0", "7.0.15", "7.4", "7.4.1");

    private final String version;
    private final Path folder = ServerFolder.create();
    private final int port = ServerFolder.freePort();
    private final List<String> arguments;
    private @Nullable Process process;

    /**
     * @param settings as in {@code redis.conf}, by name; a value may be several words
     * @param arguments such as {@code --sentinel}
     */
    EmbeddedRedisProcess(String version, Map<String, String> settings, String... arguments) {
        this.version = version;
        this.arguments = List.of(arguments);
        var configuration = new StringBuilder();
        configuration.append("port ").append(port).append('\n');
        configuration.append("bind 127.0.0.1\n");
        configuration.append("dir ").append(folder).append('\n');
        configuration.append("logfile ").append(folder.resolve("log")).append('\n');
        // By its command line, with this folder in it, a server is found that was left behind.
        configuration.append("set-proc-title no\n");
        settings.forEach((name, value) -> {
            for (String line : value.split("\n", -1)) {
                configuration.append(name).append(' ').append(line).append('\n');
            }
        });
        try {
            Files.writeString(configuration(), configuration);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        // A test that is interrupted, or forgets, leaves no server behind.
        Runtime.getRuntime().addShutdownHook(new Thread(this::close));
    }

    private Path configuration() {
        return folder.resolve("redis.conf");
    }

    /** Unpacked once for all servers of this user. */
    private static synchronized Path binary(String version) {
        String patch = PATCHES.get(version);
        String os = System.getProperty("os.name").toLowerCase(Locale.ROOT).contains("mac") ? "darwin" : "linux";
        String arch = "aarch64".equals(System.getProperty("os.arch")) ? "arm64" : "amd64";
        String name = "redis-server-" + patch + "-" + os + "-" + arch;
        Path binary = ServerFolder.binaries().resolve(name);
        if (Files.isExecutable(binary)) {
            return binary;
        }
        try (InputStream in = EmbeddedRedisProcess.class.getResourceAsStream("/" + name)) {
            if (in == null) {
                throw new IllegalStateException("There is no " + name + " on the class path: name a server by "
                        + RedisServer.VARIABLE + ", or let Docker answer");
            }
            Files.createDirectories(ServerFolder.binaries());
            // Whole, or not at all: another JVM may be unpacking it, too.
            Path unpacked = Files.createTempFile(ServerFolder.binaries(), name, ".part");
            Files.copy(in, unpacked, StandardCopyOption.REPLACE_EXISTING);
            if (!unpacked.toFile().setExecutable(true)) {
                throw new IllegalStateException(name + " cannot be made executable");
            }
            return Files.move(unpacked, binary, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public synchronized void start() {
        try {
            var command = new java.util.ArrayList<String>();
            command.add(binary(version).toString());
            command.add(configuration().toString());
            command.addAll(arguments);
            process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(folder.resolve("out").toFile())
                    .start();
        } catch (IOException e) {
            throw new UncheckedIOException("The embedded Redis did not start", e);
        }
    }

    /** What it has written to its log, for a failure's message. */
    String log() {
        try {
            String out = Files.readString(folder.resolve("out"));
            Path log = folder.resolve("log");
            return Files.exists(log) ? out + Files.readString(log) : out;
        } catch (IOException e) {
            return e.toString();
        }
    }

    @Override
    public ProcessTree processes() {
        if (process == null || !process.isAlive()) {
            throw new IllegalStateException("The Redis server is not running; its log: " + log());
        }
        return ProcessTree.of(process.toHandle());
    }

    @Override
    public int port() {
        return port;
    }

    @Override
    public synchronized void close() {
        if (process != null) {
            ProcessTree.of(process.toHandle()).kill();
            process = null;
        }
        if (Files.exists(folder)) {
            ServerFolder.remove(folder);
        }
    }
}
