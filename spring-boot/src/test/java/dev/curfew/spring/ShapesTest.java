package dev.curfew.spring;

import static dev.curfew.spring.Answers.assertAccepted;
import static dev.curfew.spring.Answers.assertLoggedOut;
import static dev.curfew.spring.Answers.assertRevoked;
import static dev.curfew.spring.Answers.assertUnavailable;
import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.servers.TestServer;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;

/** However an application has its tokens verified: 200, 401 when revoked, 503 when the store cannot be asked. */
class ShapesTest {

    @Test
    void everyShapeIsCovered() {
        Map<Class<?>, String> shapes = new LinkedHashMap<>();
        shapes.put(ResourceServer.class, Jwts.of("ada"));
        shapes.put(Shapes.OwnDecoder.class, Jwts.of("ada"));
        shapes.put(Shapes.InlineDecoder.class, Jwts.of("ada"));
        shapes.put(Shapes.IssuerResolver.class, Jwts.of("ada"));
        shapes.put(Shapes.OpaqueTokens.class, "opaque-1");
        shapes.put(Shapes.OwnAuthentication.class, Jwts.of("ada"));
        try (TestServer server = StoreServers.start("redis")) {
            String[] properties = StoreServers.properties(server);
            Map<Class<?>, App> apps = new LinkedHashMap<>();
            try {
                shapes.forEach((shape, token) -> {
                    App app = App.start(shape, properties);
                    apps.put(shape, app);
                    String other = token.startsWith("opaque") ? "opaque-2" : Jwts.of("ada");
                    assertThat(app.get("/hello", null).statusCode())
                            .as("%s", shape)
                            .isEqualTo(401);
                    assertAccepted(app.get("/hello", token));
                    assertLoggedOut(app.post("/logout", token));
                    assertRevoked(app.get("/hello", token));
                    assertLoggedOut(app.post("/logout", token));
                    assertThat(app.post("/logout", "garbage").statusCode())
                            .as("%s", shape)
                            .isEqualTo(401);
                    assertAccepted(app.get("/hello", other));
                });
                server.kill();
                List<Supplier<HttpResponse<String>>> requests = new ArrayList<>();
                apps.forEach((shape, app) -> {
                    requests.add(() -> app.get("/hello", shapes.get(shape)));
                    requests.add(() -> app.post("/logout", shapes.get(shape)));
                });
                App.atOnce(requests).forEach(Answers::assertUnavailable);
                apps.forEach((shape, app) -> {
                    assertThat(app.get("/hello", "garbage").statusCode())
                            .as("%s", shape)
                            .isEqualTo(401);
                });
            } finally {
                apps.values().forEach(App::close);
            }
        }
    }

    @Test
    @ExtendWith(OutputCaptureExtension.class)
    void aChainThatIsNotCoveredIsWarnedOf(CapturedOutput output) {
        try (App app = App.start(Shapes.Uncovered.class, "curfew.url=memory:")) {
            String token = Jwts.of("ada");
            assertAccepted(app.get("/hello", token));
            assertThat(output.toString().split("does not ask Curfew", -1))
                    .as("warnings, of the chain that is not covered alone")
                    .hasSize(2);
            assertThat(output).contains("revoked ones pass it").contains("/hello");
        }
    }

    @Test
    void aCheckThatIsSwitchedOffIsNotMade() {
        try (App app = App.start(
                ResourceServer.class,
                Jwts.publicKeyProperty(),
                "curfew.url=memory:",
                "curfew.security.enabled=false")) {
            String token = Jwts.of("ada");
            app.tokens().revokeSubject("ada");
            assertAccepted(app.get("/hello", token));
        }
    }

    /** The path of the context's root is empty, as is the property of a path that is not set. */
    @Test
    void aPathThatIsNotSetMatchesNoRequest() {
        try (App app = App.start(
                ResourceServer.class,
                Jwts.publicKeyProperty(),
                "curfew.url=memory:",
                "curfew.logout.path=",
                "server.servlet.context-path=/context")) {
            String token = Jwts.of("ada");
            for (String path : List.of("/context", "/context/", "/context/logout")) {
                assertThat(app.post(path, token).statusCode()).isNotEqualTo(204);
            }
            assertAccepted(app.get("/context/hello", token));
        }
        try (App app = App.start(
                ResourceServer.class,
                Jwts.publicKeyProperty(),
                "curfew.url=memory:",
                "server.servlet.context-path=/context")) {
            String token = Jwts.of("ada");
            assertLoggedOut(app.post("/context/logout", token));
            assertRevoked(app.get("/context/hello", token));
        }
    }

    @Test
    void theStatusOfAnOutageIsAProperty() {
        try (TestServer server = StoreServers.start("redis");
                App app = App.start(
                        ResourceServer.class,
                        StoreServers.properties(
                                server,
                                "curfew.security.unavailable-status=502",
                                "curfew.security.retry-after=7s",
                                "curfew.failure-policy=throw"))) {
            server.kill();
            var response = app.get("/hello", Jwts.of("ada"));
            assertThat(response.statusCode()).isEqualTo(502);
            assertThat(response.headers().firstValue("Retry-After")).hasValue("7");
        }
    }

    @Test
    void nothingSecretIsLogged() {
        try (TestServer server = StoreServers.start("jdbc");
                App app = App.start(
                        ResourceServer.class,
                        StoreServers.properties(server, "spring.datasource.hikari.connection-timeout=500"));
                var logs = new Logs()) {
            var claims = Jwts.claims("secret-ada").jwtID("secret-jti");
            String token = Jwts.signed(claims);
            assertAccepted(app.get("/hello", token));
            assertLoggedOut(app.post("/logout", token));
            assertRevoked(app.get("/hello", token));
            app.tokens().expungeExpired();
            server.kill();
            assertUnavailable(app.get("/hello", token));
            assertUnavailable(app.post("/logout", token));
            assertThat(logs.all()).isNotEmpty().noneMatch(line -> line.contains("secret-"));
            assertThat(logs.all()).noneMatch(line -> line.contains(token));
            assertThat(logs.warnings()).isNotEmpty();
        }
    }
}
