package dev.curfew.spring;

import static dev.curfew.spring.Answers.assertAccepted;
import static dev.curfew.spring.Answers.assertLoggedOut;
import static dev.curfew.spring.Answers.assertRevoked;
import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.Token;
import dev.curfew.TokenAction;
import dev.curfew.servers.TestServer;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.core.annotation.Order;
import org.springframework.security.authentication.TestingAuthenticationToken;
import org.springframework.security.config.web.server.ServerHttpSecurity;
import org.springframework.security.core.Authentication;
import org.springframework.security.oauth2.jwt.NimbusReactiveJwtDecoder;
import org.springframework.security.oauth2.server.resource.authentication.BearerTokenAuthenticationToken;
import org.springframework.security.oauth2.server.resource.web.server.authentication.ServerBearerTokenAuthenticationConverter;
import org.springframework.security.web.server.SecurityWebFilterChain;
import org.springframework.security.web.server.authentication.ServerAuthenticationConverter;
import org.springframework.security.web.server.util.matcher.PathPatternParserServerWebExchangeMatcher;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ServerWebExchange;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** A reactive resource server. */
class ReactiveTest {
    private static final Set<String> THREADS = ConcurrentHashMap.newKeySet();

    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    @Import(Hello.class)
    static class ReactiveServer {
        @Bean
        TokenResourceBuilderCustomizer threads() {
            return builder -> {
                builder.intercept(TokenAction.CHECK, (call, next) -> {
                    note();
                    return next.proceed(call.argument());
                });
                builder.intercept(TokenAction.REVOKE_TOKEN, (call, next) -> {
                    note();
                    return next.proceed(call.argument());
                });
            };
        }

        private static void note() {
            THREADS.add((Schedulers.isInNonBlockingThread() ? "event loop " : "")
                    + Thread.currentThread().getName());
        }
    }

    @RestController
    static class Hello {
        @GetMapping("/hello")
        Mono<String> hello() {
            return Mono.just("hello");
        }
    }

    private static HttpResponse<String> getWithCookie(App app, String token) {
        return app.send(app.request("/hello", null).header("Cookie", "session-token=" + token));
    }

    /** An authentication that does not have the token, which may come in the header, as a parameter or in a cookie. */
    @Configuration(proxyBeanMethods = false)
    @Import(ReactiveServer.class)
    static class OwnAuthentication {
        /** Two of them; the one of another chain reads bodies, and is not asked here. */
        @Bean
        ServerBearerTokenAuthenticationConverter fromCookie() {
            return new ServerBearerTokenAuthenticationConverter() {
                @Override
                public Mono<Authentication> convert(ServerWebExchange exchange) {
                    return Mono.justOrEmpty(exchange.getRequest().getCookies().getFirst("session-token"))
                            .map(cookie -> new BearerTokenAuthenticationToken(cookie.getValue()));
                }
            };
        }

        @Bean
        ServerBearerTokenAuthenticationConverter usual() {
            var usual = new ServerBearerTokenAuthenticationConverter();
            usual.setAllowUriQueryParameter(true);
            return usual;
        }

        @Bean
        ServerAuthenticationConverter ofAnotherChain() {
            return exchange -> Mono.error(new IllegalStateException("asked without need"));
        }

        @Bean
        SecurityWebFilterChain chain(ServerHttpSecurity http) {
            return http.authorizeExchange(any -> any.anyExchange().authenticated())
                    .oauth2ResourceServer(server -> server.bearerTokenConverter(
                                    exchange -> fromCookie().convert(exchange).switchIfEmpty(usual().convert(exchange)))
                            .jwt(jwt -> jwt.jwtDecoder(NimbusReactiveJwtDecoder.withPublicKey(Jwts.publicKey())
                                            .build())
                                    .jwtAuthenticationConverter(verified -> Mono.just(
                                            new TestingAuthenticationToken(verified.getSubject(), null, List.of())))))
                    .build();
        }

        /** It is not built by the bean of Spring Security. */
        @Bean
        @Order(1)
        SecurityWebFilterChain uncoveredChain() {
            return ServerHttpSecurity.http()
                    .securityMatcher(new PathPatternParserServerWebExchangeMatcher("/uncovered"))
                    .oauth2ResourceServer(server ->
                            server.jwt(jwt -> jwt.jwtDecoder(NimbusReactiveJwtDecoder.withPublicKey(Jwts.publicKey())
                                    .build())))
                    .build();
        }
    }

    @Test
    @ExtendWith(OutputCaptureExtension.class)
    void aReactiveServerAnswersAsAServletDoesAndNeverAsksOnAnEventLoop(CapturedOutput output) {
        for (Class<?> shape : List.of(ReactiveServer.class, OwnAuthentication.class)) {
            try (TestServer server = StoreServers.start("redis");
                    App app = App.start(
                            shape,
                            StoreServers.properties(
                                    server,
                                    "spring.main.web-application-type=reactive",
                                    "curfew.logout.everywhere-path=/logout/everywhere"))) {
                String token = Jwts.of("ada");
                String other = Jwts.of("ada");
                String ofBob = Jwts.of("bob");
                if (shape == OwnAuthentication.class) {
                    String inCookie = Jwts.of("ada");
                    String asParameter = Jwts.of("ada");
                    assertAccepted(getWithCookie(app, inCookie));
                    assertAccepted(app.get("/hello?access_token=" + asParameter, null));
                    for (Token each : List.of(Token.peek(inCookie), Token.peek(asParameter))) {
                        app.tokens().revokeJti(each.jti(), each.expiresAt());
                    }
                    assertRevoked(getWithCookie(app, inCookie));
                    assertRevoked(app.get("/hello?access_token=" + asParameter, null));
                    // Nobody can tell which one the authentication was made of.
                    assertRevoked(app.send(
                            app.request("/hello", inCookie).header("Cookie", "session-token=" + Jwts.of("ada"))));
                }
                assertThat(app.get("/hello", null).statusCode()).isEqualTo(401);
                assertAccepted(app.get("/hello", token));
                assertLoggedOut(app.post("/logout", token));
                assertLoggedOut(app.post("/logout", token));
                assertRevoked(app.get("/hello", token));
                assertAccepted(app.get("/hello", other));
                assertThat(app.post("/logout", "garbage").statusCode()).isEqualTo(401);
                assertLoggedOut(app.post("/logout/everywhere", other));
                assertRevoked(app.get("/hello", other));
                assertAccepted(app.get("/hello", ofBob));
                server.kill();
                App.atOnce(List.of(() -> app.get("/hello", ofBob), () -> app.post("/logout", ofBob)))
                        .forEach(Answers::assertUnavailable);
                assertThat(output.toString().split("does not ask Curfew", -1))
                        .as("warnings, of the chain that is not covered alone")
                        .hasSize(shape == OwnAuthentication.class ? 2 : 1);
                assertThat(THREADS).isNotEmpty().allMatch(name -> name.startsWith("boundedElastic"));
            }
        }
    }
}
