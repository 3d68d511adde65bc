package dev.curfew.spring;

import static dev.curfew.spring.Answers.assertAccepted;
import static dev.curfew.spring.Answers.assertRevoked;
import static dev.curfew.spring.Answers.assertUnavailable;
import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jwt.JWTClaimsSet;
import dev.curfew.servers.TestServer;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.security.oauth2.jwt.JwtAudienceValidator;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtIssuerValidator;
import org.springframework.security.oauth2.jwt.JwtTypeValidator;
import org.springframework.security.oauth2.jwt.JwtValidators;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;

/** The identity provider tells that a session has ended. */
class BackChannelLogoutTest {
    private static final Map<String, Object> EVENTS =
            Map.of("http://schemas.openid.net/event/backchannel-logout", Map.of());

    /** Logout tokens have a type and an audience that no bearer token has. */
    @Configuration(proxyBeanMethods = false)
    @Import(ResourceServer.class)
    static class OwnDecoder {
        @Bean(defaultCandidate = false)
        JwtDecoder curfewLogoutTokenDecoder() {
            NimbusJwtDecoder decoder = NimbusJwtDecoder.withPublicKey(Jwts.publicKey())
                    .validateType(false)
                    .build();
            decoder.setJwtValidator(JwtValidators.createDefaultWithValidators(
                    new JwtTypeValidator("logout+jwt"),
                    new JwtIssuerValidator(Jwts.ISSUER),
                    new JwtAudienceValidator("client")));
            return decoder;
        }
    }

    private static JWTClaimsSet.Builder claims() {
        return new JWTClaimsSet.Builder(Jwts.claims("ada").build()).claim("events", EVENTS);
    }

    private static HttpResponse<String> send(App app, String logoutToken) {
        return app.send(app.request("/context/back-channel", null)
                .header("Content-Type", "application/x-www-form-urlencoded")
                .POST(HttpRequest.BodyPublishers.ofString("logout_token=" + logoutToken)));
    }

    private static String ofSession(String session) {
        return Jwts.signed(Jwts.claims("ada").claim("sid", session));
    }

    @Test
    void aSessionOrASubjectEnds() {
        try (TestServer server = StoreServers.start("redis");
                App app = App.start(
                        ResourceServer.class,
                        StoreServers.properties(
                                server,
                                "server.servlet.context-path=/context",
                                "curfew.logout.back-channel-path=/back-channel"))) {
            String phone = ofSession("phone");
            String laptop = ofSession("laptop");
            for (JWTClaimsSet.Builder bad : List.of(
                    Jwts.claims("ada"),
                    claims().claim("events", "http://schemas.openid.net/event/backchannel-logout"),
                    claims().claim("events", Map.of("another", Map.of())),
                    claims().claim("nonce", "n"),
                    claims().issueTime(null).expirationTime(null),
                    claims().expirationTime(Date.from(Instant.now().minusSeconds(3600))),
                    claims().subject(null),
                    claims().claim("sid", ""),
                    claims().claim("sid", List.of("phone")))) {
                assertBad(send(app, Jwts.signed(bad)));
            }
            assertBad(send(app, "garbage"));
            assertBad(send(app, ""));
            assertBad(send(app, Jwts.signed(claims()) + "x"));
            assertThat(app.get("/context/back-channel", null).statusCode()).isEqualTo(401);
            assertAccepted(app.get("/context/hello", phone));
            assertThat(app.post("/context", null).statusCode()).isNotIn(200, 400);

            assertDone(send(app, Jwts.signed(claims().subject(null).claim("sid", "phone"))));
            assertRevoked(app.get("/context/hello", phone));
            assertAccepted(app.get("/context/hello", laptop));
            assertDone(send(app, Jwts.signed(claims())));
            assertRevoked(app.get("/context/hello", laptop));
            assertAccepted(app.get("/context/hello", Jwts.of("bob")));

            server.kill();
            assertUnavailable(send(app, Jwts.signed(claims())));
        }
    }

    @Test
    void aDecoderForLogoutTokensIsABean() {
        try (App app = App.start(
                OwnDecoder.class,
                Jwts.publicKeyProperty(),
                "curfew.url=memory:",
                "server.servlet.context-path=/context",
                "curfew.logout.back-channel-path=/back-channel")) {
            String token = Jwts.of("ada");
            assertBad(send(app, Jwts.signed(claims().audience("client"))));
            assertAccepted(app.get("/context/hello", token));
            assertBad(send(app, Jwts.signed(claims().audience("another"), "logout+jwt")));
            assertDone(send(app, Jwts.signed(claims().audience("client"), "logout+jwt")));
            assertRevoked(app.get("/context/hello", token));
            assertThat(app.get("/context/hello", Jwts.signed(claims().subject("bob"), "logout+jwt"))
                            .statusCode())
                    .as("it is no bearer token")
                    .isEqualTo(401);
        }
    }

    private static void assertDone(HttpResponse<String> response) {
        assertThat(response.statusCode()).as("%s", response.body()).isEqualTo(200);
        assertThat(response.headers().allValues("Cache-Control")).containsExactly("no-store");
    }

    private static void assertBad(HttpResponse<String> response) {
        assertThat(response.statusCode()).isEqualTo(400);
        assertThat(response.headers().allValues("Cache-Control")).containsExactly("no-store");
        assertThat(response.body()).isEqualTo("{\"error\":\"invalid_request\"}");
    }
}
