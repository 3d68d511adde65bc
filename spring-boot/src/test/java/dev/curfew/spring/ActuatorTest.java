package dev.curfew.spring;

import static dev.curfew.spring.Answers.assertAccepted;
import static dev.curfew.spring.Answers.assertRevoked;
import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.RevocationEvent;
import dev.curfew.TokenAction;
import dev.curfew.servers.TestServer;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.context.event.EventListener;
import org.springframework.core.annotation.Order;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.web.SecurityFilterChain;

/** Health, the endpoint, metrics and events. */
class ActuatorTest {

    @Configuration(proxyBeanMethods = false)
    @Import(Shapes.InlineDecoder.class)
    static class Operated {
        final List<RevocationEvent> events = new CopyOnWriteArrayList<>();

        @EventListener
        void heard(RevocationEvent event) {
            events.add(event);
        }

        @Bean
        @Order(1)
        SecurityFilterChain actuatorChain(HttpSecurity http) throws Exception {
            return http.securityMatcher("/actuator/**", "/error")
                    .authorizeHttpRequests(any -> any.anyRequest().permitAll())
                    .csrf(AbstractHttpConfigurer::disable)
                    .build();
        }
    }

    private static HttpResponse<String> revoke(App app, String json) {
        return app.send(app.request("/actuator/curfew", null)
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(json)));
    }

    @Test
    void theResourceIsOperatedByTheActuator() {
        try (TestServer server = StoreServers.start("redis");
                App app = App.start(
                        Operated.class,
                        StoreServers.properties(
                                server,
                                "management.endpoints.web.exposure.include=*",
                                "management.endpoint.health.show-details=always",
                                "management.endpoint.health.probes.enabled=true"))) {
            assertThat(app.get("/actuator/health/curfew", null).body()).contains("\"UP\"");
            assertThat(app.get("/actuator/health/readiness", null).body()).doesNotContain("curfew");
            String token = Jwts.signed(Jwts.claims("ada").jwtID("by-hand"));
            assertAccepted(app.get("/hello", token));
            assertThat(revoke(app, "{\"jti\":\"by-hand\"}").body()).contains("\"outcome\":\"REVOKED\"");
            assertThat(revoke(app, "{\"jti\":\"by-hand\"}").body()).contains("\"outcome\":\"ALREADY_REVOKED\"");
            assertRevoked(app.get("/hello", token));
            String ofBob = Jwts.of("bob");
            assertAccepted(app.get("/hello", ofBob));
            assertThat(revoke(app, "{\"subject\":\"bob\"}").body()).contains("\"watermark\"");
            assertRevoked(app.get("/hello", ofBob));
            for (String wrong :
                    List.of("{}", "{\"jti\":\"a\",\"subject\":\"b\"}", "{\"jti\":\"" + "x".repeat(600) + "\"}")) {
                assertThat(revoke(app, wrong).statusCode()).isEqualTo(400);
            }
            app.tokens().expungeExpired();
            assertThat(app.get("/actuator/curfew", null).body())
                    .contains("\"domain\":\"test-")
                    .contains("\"storeFailures\":0")
                    .contains("\"lastExpunge\"")
                    .contains("\"removed\":0");
            assertThat(app.get("/actuator/metrics/curfew.action?tag=outcome:revoked&tag=action:check", null)
                            .body())
                    .contains("\"COUNT\",\"value\":2");
            assertThat(app.get("/actuator/metrics/curfew.expunge.last.success", null)
                            .statusCode())
                    .isEqualTo(200);
            assertThat(app.bean(Operated.class).events)
                    .extracting(RevocationEvent::action)
                    .isEqualTo(List.of(TokenAction.REVOKE_JTI, TokenAction.REVOKE_SUBJECT));
            server.kill();
            HttpResponse<String> down = app.get("/actuator/health/curfew", null);
            assertThat(down.statusCode()).isEqualTo(503);
            assertThat(down.body()).contains("\"DOWN\"");
            assertThat(app.get("/actuator/health/readiness", null).statusCode()).isEqualTo(200);
        }
    }
}
