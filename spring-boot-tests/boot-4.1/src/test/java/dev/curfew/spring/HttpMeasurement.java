package dev.curfew.spring;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.Token;
import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.RedisServer;
import dev.curfew.servers.TestServer;
import java.net.http.HttpClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.springframework.boot.SpringBootVersion;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.data.redis.core.StringRedisTemplate;
import org.springframework.security.oauth2.core.OAuth2Error;
import org.springframework.security.oauth2.core.OAuth2TokenValidator;
import org.springframework.security.oauth2.core.OAuth2TokenValidatorResult;
import org.springframework.security.oauth2.jwt.Jwt;

/**
 * Measures whole HTTP requests, and writes {@code docs/benchmarks/http.md}. Who asks and who answers share a JVM, so that
 * whatever happens to the machine happens to all; the applications take turns, and each round begins with another one.
 */
class HttpMeasurement {
    private static final int ROUNDS = Integer.getInteger("curfew.http.rounds", 20);
    private static final int REQUESTS = Integer.getInteger("curfew.http.requests", 1000);
    private static final int[] THREADS = {1, 8};
    private static final HttpClient CLIENT =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private static final Path REPORT = Path.of("..", "..", "docs", "benchmarks", "http.md");

    /** What is written by hand in many applications: the ids of revoked tokens are keys in Redis. */
    @Configuration(proxyBeanMethods = false)
    @Import(ResourceServer.class)
    static class DenyList {
        @Bean
        OAuth2TokenValidator<Jwt> denyList(StringRedisTemplate redis) {
            return jwt -> redis.hasKey("revoked:" + jwt.getId())
                    ? OAuth2TokenValidatorResult.failure(new OAuth2Error("invalid_token"))
                    : OAuth2TokenValidatorResult.success();
        }
    }

    /** The times of a case, in nanoseconds, of each number of threads. */
    private static final class Times {
        private final Map<Integer, List<long[]>> rounds = new LinkedHashMap<>();

        void add(int threads, long[] times) {
            rounds.computeIfAbsent(threads, each -> new ArrayList<>()).add(times);
        }

        String micros(int threads, double quantile) {
            long[] sorted = rounds.get(threads).stream()
                    .flatMapToLong(LongStream::of)
                    .sorted()
                    .toArray();
            return String.format(Locale.ROOT, "%,d", sorted[(int) (quantile * (sorted.length - 1))] / 1000);
        }
    }

    @Test
    void wholeRequests() throws Exception {
        try (TestServer redis = StoreServers.start("redis");
                TestServer postgres = StoreServers.start("jdbc");
                App none = App.start(
                        ResourceServer.class,
                        Jwts.publicKeyProperty(),
                        "curfew.url=memory:",
                        "curfew.security.enabled=false");
                App denyList = App.start(
                        DenyList.class,
                        Jwts.publicKeyProperty(),
                        "curfew.url=memory:",
                        "curfew.security.enabled=false",
                        "spring.data.redis.url=" + ((RedisServer) redis).url());
                App onRedis = App.start(ResourceServer.class, StoreServers.properties(redis));
                App onPostgres = App.start(ResourceServer.class, StoreServers.properties(postgres));
                App replica = App.start(
                        ResourceServer.class, StoreServers.properties(postgres, "curfew.replica.bound=2s"))) {
            Map<String, App> apps = new LinkedHashMap<>();
            apps.put("no revocation", none);
            apps.put("hand-made deny-list in Redis (`EXISTS`)", denyList);
            apps.put("Curfew on Redis", onRedis);
            apps.put("Curfew on PostgreSQL", onPostgres);
            apps.put("Curfew on PostgreSQL, with a local replica", replica);
            String[] tokens =
                    IntStream.range(0, 64).mapToObj(i -> Jwts.of("ada-" + i)).toArray(String[]::new);
            assertThatRevokedTokensAreRefused(apps, tokens[0]);

            Map<String, Times> times = new LinkedHashMap<>();
            apps.keySet().forEach(name -> times.put(name, new Times()));
            List<String> turns = new ArrayList<>(apps.keySet());
            int warmUp = Math.max(1, ROUNDS / 4);
            for (int round = -warmUp; round < ROUNDS; round++) {
                Collections.rotate(turns, 1);
                for (String name : turns) {
                    for (int threads : THREADS) {
                        long[] measured = measure(apps.get(name), tokens, threads);
                        if (round >= 0) {
                            times.get(name).add(threads, measured);
                        }
                    }
                }
            }
            Files.writeString(REPORT, report(times, (PostgresServer) postgres, (RedisServer) redis));
        }
    }

    /** So that each case does what it is measured for. */
    private static void assertThatRevokedTokensAreRefused(Map<String, App> apps, String token) {
        String revoked = Jwts.of("bob");
        apps.forEach((name, app) -> {
            app.tokens().revokeToken(Token.peek(revoked));
            if (name.contains("EXISTS")) {
                app.bean(StringRedisTemplate.class)
                        .opsForValue()
                        .set("revoked:" + Token.peek(revoked).jti(), "");
            }
            assertThat(app.get("/hello", revoked).statusCode())
                    .as(name)
                    .isEqualTo(name.equals("no revocation") ? 200 : 401);
            assertThat(app.get("/hello", token).statusCode()).as(name).isEqualTo(200);
        });
    }

    /** How long each of {@link #REQUESTS} requests of each thread took. */
    private static long[] measure(App app, String[] tokens, int threads) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        try {
            Callable<long[]> asking = () -> {
                long[] nanos = new long[REQUESTS];
                App.send(CLIENT, app.request("/hello", tokens[0])); // connects
                for (int i = 0; i < REQUESTS; i++) {
                    var request = app.request("/hello", tokens[i % tokens.length]);
                    long start = System.nanoTime();
                    int status = App.send(CLIENT, request).statusCode();
                    nanos[i] = System.nanoTime() - start;
                    if (status != 200) {
                        throw new IllegalStateException("HTTP " + status);
                    }
                }
                return nanos;
            };
            List<long[]> all = new ArrayList<>();
            for (Future<long[]> each : pool.invokeAll(Collections.nCopies(threads, asking))) {
                all.add(each.get());
            }
            return all.stream().flatMapToLong(Arrays::stream).toArray();
        } finally {
            pool.shutdownNow();
        }
    }

    private static String report(Map<String, Times> times, PostgresServer postgres, RedisServer redis) {
        var page = new StringBuilder("# Whole HTTP requests on Spring Boot\n\n");
        page.append(String.format(Locale.ROOT, """
                        Times of a `GET` with a bearer token (RS256) that is not revoked, in µs, on a resource server on Spring
                        Boot %s (Tomcat). Client, applications and stores share the machine; client and applications share
                        a JVM. Connections are kept alive. %d rounds of %,d requests of each thread, in turns.
                        Written by `HttpMeasurement`: the command is in [CONTRIBUTING.md](../../CONTRIBUTING.md).

                        """, SpringBootVersion.getVersion(), ROUNDS, REQUESTS));
        page.append("|  | 1 thread: median | p99 | 8 threads: median | p99 |\n| --- | --- | --- | --- | --- |\n");
        times.forEach((name, of) -> {
            page.append("| ").append(name);
            for (int threads : THREADS) {
                page.append(" | ").append(of.micros(threads, 0.5));
                page.append(" | ").append(of.micros(threads, 0.99));
            }
            page.append(" |\n");
        });
        page.append(String.format(
                Locale.ROOT,
                "%nMeasured %s with %d processors, Java %s, Redis %s, PostgreSQL %s.%n",
                Instant.now().truncatedTo(ChronoUnit.SECONDS),
                Runtime.getRuntime().availableProcessors(),
                Runtime.version(),
                redis.info("redis_version"),
                version(postgres)));
        return page.toString();
    }

    private static String version(PostgresServer postgres) {
        try (Connection connection = DriverManager.getConnection(postgres.url())) {
            return connection.getMetaData().getDatabaseProductVersion();
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }
}
