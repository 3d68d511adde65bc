package dev.curfew.spring;

import static dev.curfew.spring.Answers.assertAccepted;
import static dev.curfew.spring.Answers.assertLoggedOut;
import static dev.curfew.spring.Answers.assertRevoked;
import static dev.curfew.spring.Answers.assertUnavailable;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.curfew.ReplicaStatus;
import dev.curfew.Token;
import dev.curfew.TokenAction;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.TestServer;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Predicate;
import javax.sql.DataSource;
import org.awaitility.core.ConditionFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.jdbc.core.JdbcTemplate;

/** An application with a local replica, on PostgreSQL. */
class ReplicaTest {
    private static final Duration BOUND = Duration.ofSeconds(2);
    private static final Duration LONGER = Duration.ofSeconds(3);
    /** An event loop of Netty. On Boot 3.5 the tests run on Tomcat. */
    private static final Predicate<String> OF_THE_SERVER = name -> name.matches("(reactor-http|http-nio).*");

    /** Notes on which threads checks are answered. */
    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    @Import(ReactiveTest.Hello.class)
    static class ReactiveServer {
        final Queue<String> threads = new ConcurrentLinkedQueue<>();

        @Bean
        TokenResourceBuilderCustomizer threads() {
            return builder -> builder.onOutcome(outcome -> {
                if (outcome.action() == TokenAction.CHECK) {
                    threads.add(Thread.currentThread().getName());
                }
            });
        }
    }

    private static ConditionFactory patiently() {
        return await().atMost(Duration.ofSeconds(60))
                .pollDelay(Duration.ZERO)
                .pollInterval(Duration.ofMillis(50))
                .ignoreExceptions();
    }

    private static ReplicaStatus replica(App app) {
        return app.tokens().replicaStatus().orElseThrow();
    }

    private static void awaitServing(App app) {
        patiently().until(() -> replica(app).isServing());
    }

    private static Duration since(long reading) {
        return Duration.ofNanos(System.nanoTime() - reading);
    }

    /** The pool waits for longer than the bound for a connection that it does not get: no check may wait with it. */
    @Test
    void anOutageLogsNobodyOutForAsLongAsTheApplicationSays() {
        try (TestServer server = StoreServers.start("jdbc");
                App app = App.start(
                        ActuatorTest.Operated.class,
                        StoreServers.properties(
                                server,
                                "curfew.replica.bound=" + BOUND,
                                "curfew.replica.poll-interval=200ms",
                                "curfew.replica.serve-while-store-fails=" + LONGER,
                                "spring.datasource.hikari.connection-timeout=3000",
                                "management.endpoints.web.exposure.include=*",
                                "management.endpoint.health.show-details=always"))) {
            String token = Jwts.of("ada");
            String revoked = Jwts.of("bob");
            awaitServing(app);
            assertAccepted(app.get("/hello", token));
            assertAccepted(app.get("/hello", revoked));
            try (TokenResource otherNode = Fixture.opened(TokenResource.builder()
                    .url(((PostgresServer) server).url())
                    .domain(app.tokens().domain())
                    .maxTokenLifetime(Duration.ofDays(1)))) {
                otherNode.revokeToken(Token.peek(revoked));
            }
            patiently().untilAsserted(() -> assertRevoked(app.get("/hello", revoked)));
            assertOperated(app);

            server.kill();
            long killed = System.nanoTime();
            Duration end = BOUND.plus(LONGER).minus(replica(app).age());
            HttpResponse<String> health = app.get("/actuator/health/curfew", null);
            Duration accepted = Duration.ZERO;
            Duration asked = since(killed);
            HttpResponse<String> answer = app.get("/hello", token);
            while (answer.statusCode() == 200) {
                accepted = asked;
                assertRevoked(app.get("/hello", revoked));
                asked = since(killed);
                answer = app.get("/hello", token);
            }
            assertUnavailable(answer);
            // One request follows another, so that the last one that is accepted begins shortly before the end.
            assertThat(accepted).isBetween(end.minusSeconds(1), end);
            assertThat(since(killed)).isGreaterThan(end);
            assertThat(health.statusCode()).isEqualTo(200);
            assertThat(health.body()).contains("\"UP\"", "\"replica\":\"serving\"");
            List<HttpResponse<String>> after = App.atOnce(List.of(
                    () -> app.get("/hello", token),
                    () -> app.get("/hello", revoked),
                    () -> app.get("/actuator/health/curfew", null)));
            assertUnavailable(after.get(0));
            assertRevoked(after.get(1));
            assertThat(after.get(2).statusCode()).isEqualTo(503);
            assertThat(after.get(2).body()).contains("\"DOWN\"", "\"replica\":\"stale\"");

            server.restart();
            patiently().untilAsserted(() -> assertAccepted(app.get("/hello", token)));
            assertRevoked(app.get("/hello", revoked));
            awaitServing(app);
        }
    }

    private static void assertOperated(App app) {
        assertThat(app.get("/actuator/health/curfew", null).body())
                .contains("\"UP\"", "\"replica\":\"serving\"", "\"age\":\"PT", "\"entries\":1");
        assertThat(app.get("/actuator/curfew", null).body()).contains("\"replica\":{", "\"entries\":1", "\"loads\":1");
        for (String meter : List.of("serving", "entries", "loads")) {
            assertThat(app.get("/actuator/metrics/curfew.replica." + meter, null)
                            .body())
                    .contains("\"value\":1.0", app.tokens().domain());
        }
        for (String meter : List.of("age", "memory", "local.share")) {
            assertThat(app.get("/actuator/metrics/curfew.replica." + meter, null)
                            .statusCode())
                    .isEqualTo(200);
        }
    }

    /** The feed alone fails. */
    @ParameterizedTest
    @ValueSource(strings = {"ask", "deny"})
    void aReplicaThatIsStaleIsNoFailureUnlessChecksAreDenied(String whenStale) {
        String url = "spring.datasource.url=" + PostgresServer.shared().url();
        try (App app = App.start(
                StoresTest.Plain.class,
                StoresTest.NO_WEB,
                StoresTest.newDomain(),
                url,
                "curfew.jdbc.initialize-schema=always",
                "curfew.replica.bound=200ms",
                "curfew.replica.when-stale=" + whenStale)) {
            Token token = Token.of("jti", "ada", Instant.now(), Instant.now().plusSeconds(3600));
            var health = new CheckHealth(app.tokens());
            awaitServing(app);
            assertThat(health.isUp()).isTrue();
            String table = "ALTER TABLE \"curfew_" + app.tokens().domain() + "\" RENAME COLUMN ";
            var jdbc = new JdbcTemplate(app.bean(DataSource.class));
            jdbc.execute(table + "change TO hidden");
            patiently().until(() -> !replica(app).isServing());
            assertThat(health.details()).containsEntry("replica", "stale").containsKey("age");
            assertThat(health.isUp()).isEqualTo(whenStale.equals("ask"));
            assertThat(app.tokens().check(token))
                    .isEqualTo(whenStale.equals("ask") ? TokenStatus.ACTIVE : TokenStatus.UNAVAILABLE);
            jdbc.execute(table + "hidden TO change");
            awaitServing(app);
            assertThat(health.isUp()).isTrue();
            assertThat(app.tokens().check(token)).isEqualTo(TokenStatus.ACTIVE);
        }
    }

    @Test
    void aLocalCheckStaysOnTheServersThreadAndAsksNoStore() {
        try (TestServer server = StoreServers.start("jdbc");
                App app = App.start(
                        ReactiveServer.class,
                        StoreServers.properties(
                                server,
                                "spring.main.web-application-type=reactive",
                                "curfew.replica.bound=" + BOUND,
                                "curfew.replica.poll-interval=200ms",
                                "curfew.replica.serve-while-store-fails=1h"))) {
            Queue<String> threads = app.bean(ReactiveServer.class).threads;
            String token = Jwts.of("ada");
            String ofSession = Jwts.signed(Jwts.claims("ada").claim("sid", "laptop"));
            String revoked = Jwts.signed(Jwts.claims("ada").claim("sid", "phone"));
            awaitServing(app);
            assertAccepted(app.get("/hello", token));
            assertLoggedOut(app.post("/logout", revoked));
            assertRevoked(app.get("/hello", revoked));
            assertThat(threads).hasSize(2).allMatch(OF_THE_SERVER);
            threads.clear();
            // From now on the replica cannot tell of a token without a session.
            app.tokens().revokeSession("phone");
            assertAccepted(app.get("/hello", token));
            assertThat(threads).hasSize(1).allMatch(name -> name.startsWith("boundedElastic"));
            threads.clear();
            server.kill();
            assertAccepted(app.get("/hello", ofSession));
            assertRevoked(app.get("/hello", revoked));
            assertThat(threads).hasSize(2).allMatch(OF_THE_SERVER);
        }
    }

    @Test
    void aStoreThatNeedsNoReplicaRefusesItWithTheReason() {
        assertThatThrownBy(() -> App.start(
                                StoresTest.Plain.class,
                                StoresTest.NO_WEB,
                                "curfew.url=memory:",
                                "curfew.replica.bound=10s")
                        .close())
                .hasStackTraceContaining("The memory store needs no local replica");
        assertThatThrownBy(() -> App.start(
                                StoresTest.Plain.class,
                                StoresTest.NO_WEB,
                                "curfew.url=memory:",
                                "curfew.replica.serve-while-store-fails=10s")
                        .close())
                .hasStackTraceContaining("Settings of a local replica are given");
    }
}
