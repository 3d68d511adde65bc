package dev.curfew.servers;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** A Redis from a Maven artifact. */
final class EmbeddedRedisProcess extends ChildProcess {
    private static final Map<String, String> PATCHES = Map.of("7.0", "7.0.15", "7.4", "7.4.1");

    /**
     * @param settings as in {@code redis.conf}, by name; a value may be several words
     * @param arguments such as {@code --sentinel}
     */
    EmbeddedRedisProcess(String version, Map<String, String> settings, String... arguments) {
        super("The Redis server", (folder, port) -> {
            Path configuration = folder.resolve("redis.conf");
            Files.writeString(configuration, configuration(folder, port, settings));
            List<String> command = new ArrayList<>(List.of(binary(version).toString(), configuration.toString()));
            command.addAll(List.of(arguments));
            return command;
        });
    }

    private static String configuration(Path folder, int port, Map<String, String> settings) {
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
        return configuration.toString();
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
}
