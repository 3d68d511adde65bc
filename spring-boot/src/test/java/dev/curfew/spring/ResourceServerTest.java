package dev.curfew.spring;

import static dev.curfew.spring.Answers.assertAccepted;
import static dev.curfew.spring.Answers.assertLoggedOut;
import static dev.curfew.spring.Answers.assertRevoked;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.curfew.servers.TestServer;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A resource server as Boot makes it, on real servers. */
class ResourceServerTest {

    @ParameterizedTest
    @ValueSource(strings = {"jdbc", "redis"})
    void aTokenThatIsLoggedOutIsAnsweredBy401OnEveryInstanceAndAfterARestart(String store) {
        String[] properties =
                StoreServers.properties(StoreServers.shared(store), "curfew.logout.everywhere-path=/logout/everywhere");
        String token = Jwts.of("ada");
        String other = Jwts.of("ada");
        try (App first = App.start(ResourceServer.class, properties);
                App second = App.start(ResourceServer.class, properties)) {
            assertAccepted(first.get("/hello", token));
            assertAccepted(second.get("/hello", token));
            assertLoggedOut(first.post("/logout", token));
            assertRevoked(first.get("/hello", token));
            assertRevoked(second.get("/hello", token));
            assertLoggedOut(second.post("/logout", token));
            assertAccepted(second.get("/hello", other));
        }
        try (App restarted = App.start(ResourceServer.class, properties)) {
            assertRevoked(restarted.get("/hello", token));
            assertAccepted(restarted.get("/hello", other));
            String ofBob = Jwts.of("bob");
            assertLoggedOut(restarted.post("/logout/everywhere", other));
            assertRevoked(restarted.get("/hello", other));
            assertAccepted(restarted.get("/hello", ofBob));
            // A token that says to be issued after the watermark.
            String later = Jwts.signed(
                    Jwts.claims("ada").issueTime(Date.from(Instant.now().plusSeconds(2))));
            assertAccepted(restarted.get("/hello", later));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"jdbc", "redis"})
    void anOutageIsAnsweredBy503AndEndsByItself(String store) {
        try (TestServer server = StoreServers.start(store);
                App app = App.start(
                        ResourceServer.class,
                        StoreServers.properties(server, "spring.datasource.hikari.connection-timeout=1000"))) {
            String token = Jwts.of("ada");
            assertAccepted(app.get("/hello", token));
            server.kill();
            App.atOnce(List.of(() -> app.get("/hello", token), () -> app.post("/logout", token)))
                    .forEach(Answers::assertUnavailable);
            server.restart();
            await().atMost(Duration.ofSeconds(60))
                    .until(() -> app.get("/hello", token).statusCode() == 200);
            assertLoggedOut(app.post("/logout", token));
            assertRevoked(app.get("/hello", token));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"/logout", "/hello"})
    void aTokenThatIsNotValidIsAnsweredByTheApplicationsEntryPoint(String path) {
        App app = App.shared();
        Instant past = Instant.now().minusSeconds(3600);
        String expired = Jwts.signed(Jwts.claims("ada").expirationTime(Date.from(past)));
        for (String token : new String[] {expired, "garbage", Jwts.of("ada") + "x"}) {
            var response = path.equals("/logout") ? app.post(path, token) : app.get(path, token);
            assertThat(response.statusCode()).isEqualTo(401);
            assertThat(response.headers().firstValue("WWW-Authenticate").orElseThrow())
                    .startsWith("Bearer error=\"invalid_token\"");
        }
    }

    @Test
    void aTokenWithoutAnIdIsRefusedAndTheClientIsToldWhy() {
        var refused = App.shared().get("/hello", Jwts.signed(Jwts.claims("ada").jwtID(null)));
        assertThat(refused.statusCode()).isEqualTo(401);
        assertThat(refused.headers().firstValue("WWW-Authenticate").orElseThrow())
                .startsWith("Bearer error=\"invalid_token\"")
                .contains("The token's claim 'jti' cannot be used: it is missing");
    }

    @Test
    void aTokenWithoutAnIdIsKnownByItsDigestWhereThePropertySaysSo() {
        try (App app = App.start(
                ResourceServer.class,
                Jwts.publicKeyProperty(),
                "curfew.url=memory:",
                "curfew.jwt.missing-jti=digest")) {
            String token = Jwts.signed(Jwts.claims("ada").jwtID(null));
            assertAccepted(app.get("/hello", token));
            assertLoggedOut(app.post("/logout", token));
            assertRevoked(app.get("/hello", token));
        }
    }
}
