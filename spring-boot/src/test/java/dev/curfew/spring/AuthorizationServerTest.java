package dev.curfew.spring;

import static dev.curfew.spring.Answers.assertAccepted;
import static dev.curfew.spring.Answers.assertRevoked;
import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.source.ImmutableJWKSet;
import com.nimbusds.jose.jwk.source.JWKSource;
import com.nimbusds.jose.proc.SecurityContext;
import dev.curfew.Token;
import dev.curfew.servers.TestServer;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.security.core.userdetails.User;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.provisioning.InMemoryUserDetailsManager;

/** What is revoked at Spring Authorization Server is revoked at a resource server, and the other way round. */
class AuthorizationServerTest {
    private static final String CLIENT = "spring.security.oauth2.authorizationserver.client.app.";
    private static final String REDIRECT = "http://127.0.0.1:1/back";

    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class AuthorizationServer {
        @Bean
        JWKSource<SecurityContext> keys() {
            return new ImmutableJWKSet<>(new JWKSet(Jwts.key()));
        }

        @Bean
        InMemoryUserDetailsManager users() {
            return new InMemoryUserDetailsManager(User.withUsername("ada")
                    .password("{noop}password")
                    .roles("USER")
                    .build());
        }

        @Bean
        JwtDecoder decoder() {
            return Jwts.decoder();
        }
    }

    private record Tokens(String access, String refresh) {}

    @Test
    void revocationsAreHeardOnBothSides() {
        try (TestServer server = StoreServers.start("redis")) {
            String[] properties = StoreServers.properties(server);
            try (App issuer = App.start(
                            AuthorizationServer.class,
                            StoreServers.with(
                                    properties,
                                    CLIENT + "registration.client-id=app",
                                    CLIENT + "registration.client-secret={noop}secret",
                                    CLIENT + "registration.client-authentication-methods=client_secret_basic",
                                    CLIENT + "registration.authorization-grant-types=authorization_code,refresh_token",
                                    CLIENT + "registration.redirect-uris=" + REDIRECT,
                                    CLIENT + "registration.scopes=read",
                                    CLIENT + "require-proof-key=false",
                                    CLIENT + "require-authorization-consent=false"));
                    App resources = App.start(ResourceServer.class, properties)) {
                Tokens first = logIn(issuer);
                assertAccepted(resources.get("/hello", first.access()));
                assertThat(isActive(issuer, first.access())).isTrue();

                // Of a refresh: the old access token ends with it.
                Tokens second = refresh(issuer, first.refresh());
                assertRevoked(resources.get("/hello", first.access()));
                assertAccepted(resources.get("/hello", second.access()));

                // Of /oauth2/revoke.
                assertThat(call(issuer, "/oauth2/revoke", Map.of("token", second.access()))
                                .statusCode())
                        .isEqualTo(200);
                assertRevoked(resources.get("/hello", second.access()));
                assertThat(isActive(issuer, second.access())).isFalse();

                // Of a log-out at the resource server.
                Tokens third = refresh(issuer, second.refresh());
                assertAccepted(resources.get("/hello", third.access()));
                resources.tokens().revokeToken(Token.peek(third.access()));
                assertThat(isActive(issuer, third.access())).isFalse();
                assertThat(isActive(issuer, third.refresh())).isTrue();

                // Everywhere: the refresh token brings no new one.
                resources.tokens().revokeSubject("ada");
                assertThat(isActive(issuer, third.refresh())).isFalse();
                HttpResponse<String> refused = call(
                        issuer,
                        "/oauth2/token",
                        Map.of("grant_type", "refresh_token", "refresh_token", third.refresh()));
                assertThat(refused.statusCode()).isEqualTo(400);
                assertThat(refused.body()).contains("invalid_grant");
            }
        }
    }

    private static boolean isActive(App issuer, String token) {
        HttpResponse<String> response = call(issuer, "/oauth2/introspect", Map.of("token", token));
        assertThat(response.statusCode()).isEqualTo(200);
        return response.body().contains("\"active\":true");
    }

    private static Tokens refresh(App issuer, String token) {
        return tokens(call(issuer, "/oauth2/token", Map.of("grant_type", "refresh_token", "refresh_token", token)));
    }

    private static Tokens tokens(HttpResponse<String> response) {
        assertThat(response.statusCode()).as("%s", response.body()).isEqualTo(200);
        return new Tokens(
                found("\"access_token\":\"([^\"]*)\"", response.body()),
                found("\"refresh_token\":\"([^\"]*)\"", response.body()));
    }

    /** As a browser does: to the log-in page, and back with a code. */
    private static Tokens logIn(App issuer) {
        HttpClient browser = App.browser();
        URI authorize = issuer.uri("/oauth2/authorize?response_type=code&client_id=app&scope=read&state=s&redirect_uri="
                + encoded(REDIRECT));
        assertThat(App.send(browser, page(authorize)).statusCode()).isEqualTo(302);
        String loginPage = App.send(browser, page(issuer.uri("/login"))).body();
        HttpResponse<String> loggedIn = App.send(
                browser,
                HttpRequest.newBuilder(issuer.uri("/login"))
                        .header("Content-Type", "application/x-www-form-urlencoded")
                        .POST(HttpRequest.BodyPublishers.ofString(form(Map.of(
                                "username",
                                "ada",
                                "password",
                                "password",
                                "_csrf",
                                found("name=\"_csrf\"[^>]* value=\"([^\"]*)\"", loginPage))))));
        URI saved = URI.create(loggedIn.headers().firstValue("Location").orElseThrow());
        HttpResponse<String> authorized = App.send(browser, page(saved));
        assertThat(authorized.statusCode())
                .as("%s of %s", authorized.body(), saved.getPath())
                .isEqualTo(302);
        String back = authorized.headers().firstValue("Location").orElseThrow();
        return tokens(call(
                issuer,
                "/oauth2/token",
                Map.of(
                        "grant_type",
                        "authorization_code",
                        "code",
                        found("[?&]code=([^&]*)", back),
                        "redirect_uri",
                        REDIRECT)));
    }

    private static HttpRequest.Builder page(URI uri) {
        return HttpRequest.newBuilder(uri).header("Accept", "text/html");
    }

    private static HttpResponse<String> call(App issuer, String path, Map<String, String> parameters) {
        return issuer.send(issuer.request(path, null)
                .header(
                        "Authorization",
                        "Basic " + Base64.getEncoder().encodeToString("app:secret".getBytes(StandardCharsets.UTF_8)))
                .header("Content-Type", "application/x-www-form-urlencoded")
                .POST(HttpRequest.BodyPublishers.ofString(form(parameters))));
    }

    private static String form(Map<String, String> parameters) {
        return parameters.entrySet().stream()
                .map(each -> each.getKey() + "=" + encoded(each.getValue()))
                .collect(Collectors.joining("&"));
    }

    private static String encoded(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8);
    }

    private static String found(String pattern, String text) {
        Matcher matcher = Pattern.compile(pattern).matcher(text);
        assertThat(matcher.find()).as("%s in %s", pattern, text).isTrue();
        return matcher.group(1);
    }
}
