package dev.curfew.servers;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/** An application on the module path, in a JVM of its own: a store opens, stores, checks, revokes and closes there. */
public final class ModulePath {
    /** What an application with a store has, and no more: not what the tests need. */
    private static final String OF_AN_APPLICATION = ".*(core/target/classes|store-[a-z]+/target/classes"
            + "|(curfew-(core|store-(jdbc|memory|mongo|redis))|jackson-core|jspecify|slf4j-api|caffeine|HikariCP|postgresql"
            + "|lettuce-core|netty-[a-z-]+|reactor-core|reactive-streams|redis-authx-core|bson|bson-record-codec"
            + "|mongodb-driver-(core|sync))-[0-9][^/]*[.]jar)";

    private static final String APPLICATION = """
            import dev.curfew.*;
            import java.time.*;

            class Application {
                public static void main(String... url) {
                    Instant now = Instant.now();
                    try (TokenResource tokens = TokenResource.builder().domain(url[1]).url(url[0])
                            .maxTokenLifetime(Duration.ofDays(1)).build()) {
                        Token token = Token.of("t", "s", now, now.plusSeconds(60));
                        System.out.println(tokens.storeToken(token) + " " + tokens.check(token) + " "
                                + tokens.revokeToken(token) + " " + tokens.check(token));
                    }
                    System.out.println(TokenResource.class.getModule());
                }
            }
            """;

    private ModulePath() {}

    /**
     * Runs the application.
     *
     * @param module the module of the store
     * @return the last lines that the application printed: the answers, and the module of the core
     */
    public static List<String> run(String module, String url, String domain) {
        Path folder = ServerFolder.create();
        try {
            Path source = Files.writeString(folder.resolve("Application.java"), APPLICATION);
            String path = Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
                    .filter(each -> each.matches(OF_AN_APPLICATION))
                    .collect(Collectors.joining(File.pathSeparator));
            Process process = new ProcessBuilder(
                            Path.of(System.getProperty("java.home"), "bin", "java")
                                    .toString(),
                            "--module-path",
                            path,
                            "--add-modules",
                            module,
                            source.toString(),
                            url,
                            domain)
                    .redirectErrorStream(true)
                    .start();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (process.waitFor() != 0) {
                throw new IllegalStateException(output);
            }
            List<String> lines = output.lines().toList();
            return lines.subList(Math.max(0, lines.size() - 2), lines.size());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        } finally {
            ServerFolder.remove(folder);
        }
    }
}
