package dev.curfew.spring;

import static dev.curfew.spring.Answers.assertAccepted;
import static dev.curfew.spring.Answers.assertLoggedOut;
import static dev.curfew.spring.Answers.assertRevoked;
import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.source.ImmutableJWKSet;
import com.nimbusds.jose.jwk.source.JWKSource;
import com.nimbusds.jose.proc.SecurityContext;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.servers.TestServer;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Base64;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.security.core.userdetails.User;
import org.springframework.security.core.userdetails.UserDetails;
import org.springframework.security.oauth2.core.OAuth2AccessToken;
import org.springframework.security.oauth2.core.OAuth2RefreshToken;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.server.authorization.OAuth2Authorization;
import org.springframework.security.oauth2.server.authorization.OAuth2AuthorizationService;
import org.springframework.security.oauth2.server.authorization.OAuth2TokenType;
import org.springframework.security.oauth2.server.authorization.token.JwtEncodingContext;
import org.springframework.security.oauth2.server.authorization.token.OAuth2TokenCustomizer;
import org.springframework.security.provisioning.InMemoryUserDetailsManager;

/** What is revoked at Spring Authorization Server is revoked at a resource server, and the other way round. */
class AuthorizationServerTest {
    private static final String CLIENT = "spring.security.oauth2.authorizationserver.client.";
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
            return new InMemoryUserDetailsManager(user("ada"), user("bob"), user("eve"));
        }

        private static UserDetails user(String name) {
            return User.withUsername(name)
                    .password("{noop}password")
                    .roles("USER")
                    .build();
        }

        /** The session of the scope "session" only. Eve is known to resource servers by another name. */
        @Bean
        OAuth2TokenCustomizer<JwtEncodingContext> claims() {
            return context -> {
                if (context.getPrincipal().getName().equals("eve")) {
                    context.getClaims().subject("id-of-eve");
                }
                if (context.getAuthorizedScopes().contains("session")) {
                    context.getClaims()
                            .claim(
                                    "sid",
                                    "session of " + context.getAuthorization().getId());
                }
            };
        }

        @Bean
        JwtDecoder decoder() {
            return Jwts.decoder();
        }
    }

    private record Tokens(String access, String refresh) {}

    private static String[] properties;
    private static TestServer server;
    private static App issuer;
    private static App resources;

    @BeforeAll
    static void start() {
        server = StoreServers.start("redis");
        properties = StoreServers.properties(server, "curfew.logout.ends=session");
        issuer = issuer();
        resources = App.start(ResourceServer.class, properties);
    }

    private static App issuer(String... more) {
        String[] clients = StoreServers.with(
                client("app"),
                StoreServers.with(client("rotating"), CLIENT + "rotating.token.reuse-refresh-tokens=false"));
        return App.start(AuthorizationServer.class, StoreServers.with(properties, StoreServers.with(clients, more)));
    }

    private static String[] client(String name) {
        String client = CLIENT + name;
        return new String[] {
            client + ".registration.client-id=" + name,
            client + ".registration.client-secret={noop}secret-of-" + name,
            client + ".registration.client-authentication-methods=client_secret_basic",
            client + ".registration.authorization-grant-types=authorization_code,refresh_token",
            client + ".registration.redirect-uris=" + REDIRECT,
            client + ".registration.scopes=read,session",
            client + ".require-proof-key=false",
            client + ".require-authorization-consent=false"
        };
    }

    @AfterAll
    static void stop() {
        resources.close();
        issuer.close();
        server.close();
    }

    @Test
    void revocationsAreHeardOnBothSides() {
        Tokens first = logIn("app", "ada", "read");
        assertAccepted(resources.get("/hello", first.access()));
        assertThat(isActive("app", first.access())).isTrue();

        // Of a refresh: the old access token ends with it.
        Tokens second = refresh("app", first.refresh());
        assertRevoked(resources.get("/hello", first.access()));
        assertAccepted(resources.get("/hello", second.access()));

        // Of /oauth2/revoke.
        assertThat(call("app", "/oauth2/revoke", Map.of("token", second.access()))
                        .statusCode())
                .isEqualTo(200);
        assertRevoked(resources.get("/hello", second.access()));
        assertThat(isActive("app", second.access())).isFalse();

        // Of a log-out at the resource server.
        Tokens third = refresh("app", second.refresh());
        assertAccepted(resources.get("/hello", third.access()));
        assertLoggedOut(resources.post("/logout", third.access()));
        assertThat(isActive("app", third.access())).isFalse();
        assertThat(isActive("app", third.refresh())).isTrue();

        // Everywhere: the refresh token brings no new one.
        resources.tokens().revokeSubject("ada");
        assertThat(isActive("app", third.refresh())).isFalse();
        assertRefused(tryRefresh("app", third.refresh()));
    }

    @Test
    void aRefreshTokenIsOfTheSubjectThatTheAccessTokenNames() {
        Tokens tokens = logIn("app", "eve", "read");
        assertThat(isActive("app", tokens.refresh())).isTrue();
        resources.tokens().revokeSubject("id-of-eve");
        assertRevoked(resources.get("/hello", tokens.access()));
        assertThat(isActive("app", tokens.refresh())).isFalse();
        assertRefused(tryRefresh("app", tokens.refresh()));
    }

    @Test
    void aRefreshTokenIsOfTheTenantThatTheAccessTokenNames() {
        App usual = issuer;
        try (App byIssuer = issuer("curfew.jwt.tenant-by-issuer=true")) {
            issuer = byIssuer;
            Tokens first = logIn("rotating", "eve", "read");
            Tokens second = refresh("rotating", first.refresh());
            TokenResource tenant = resources
                    .tokens()
                    .forTenant("http://localhost:" + byIssuer.uri("/").getPort());
            assertThat(tenant.check(Token.peek(first.access()))).isEqualTo(TokenStatus.REVOKED);
            assertThat(isActive("rotating", second.refresh())).isTrue();
            tenant.revokeSubject("id-of-eve");
            assertThat(isActive("rotating", second.refresh())).isFalse();
            assertRefused(tryRefresh("rotating", second.refresh()));
            // Used again, it ends its authorization.
            Tokens other = logIn("rotating", "bob", "read");
            Tokens later = refresh("rotating", other.refresh());
            assertRefused(tryRefresh("rotating", other.refresh()));
            assertRefused(tryRefresh("rotating", later.refresh()));
        } finally {
            issuer = usual;
        }
    }

    @Test
    void aRefreshTokenThatIsUsedAgainEndsItsAuthorization() {
        Tokens other = logIn("rotating", "bob", "read");
        Tokens first = logIn("rotating", "bob", "read");
        Tokens second = refresh("rotating", first.refresh());
        Tokens third = refresh("rotating", second.refresh());
        assertThat(third.refresh()).isNotEqualTo(second.refresh());
        // To ask about an old one, or to revoke it, is no use of it.
        assertThat(isActive("rotating", first.refresh())).isFalse();
        assertThat(call("rotating", "/oauth2/revoke", Map.of("token", first.refresh()))
                        .statusCode())
                .isEqualTo(200);
        assertRefused(tryRefresh("rotating", "never issued"));
        assertRefused(tryRefresh("rotating", "x".repeat(20_000)));
        assertAccepted(resources.get("/hello", third.access()));
        assertThat(issuer.tokens().listTokens("bob"))
                .as("an old refresh token is no device of hers")
                .isEmpty();

        assertRefused(tryRefresh("rotating", first.refresh()));
        assertRevoked(resources.get("/hello", third.access()));
        assertRefused(tryRefresh("rotating", third.refresh()));
        assertRefused(tryRefresh("rotating", second.refresh()));

        assertAccepted(resources.get("/hello", other.access()));
        refresh("rotating", other.refresh());
    }

    /** Where access tokens have a claim {@code sid}, that session ends, with all that belongs to it. */
    @Test
    void aSessionEndsOnBothSides() {
        Tokens first = logIn("rotating", "bob", "read session");
        Tokens second = refresh("rotating", first.refresh());
        String session = Token.peek(second.access()).session();
        assertThat(session).isNotNull();
        String ofTheSession = Jwts.signed(Jwts.claims("bob").claim("sid", session));
        assertAccepted(resources.get("/hello", ofTheSession));
        assertRefused(tryRefresh("rotating", first.refresh()));
        assertRevoked(resources.get("/hello", second.access()));
        assertRevoked(resources.get("/hello", ofTheSession));

        // Of a log-out at the resource server: the refresh token ends with its session.
        for (String client : new String[] {"app", "rotating"}) {
            Tokens next = logIn(client, "bob", "read session");
            assertLoggedOut(resources.post("/logout", next.access()));
            assertRevoked(resources.get("/hello", next.access()));
            assertRefused(tryRefresh(client, next.refresh()));
        }
    }

    /** The refresh read the authorization before its session was ended, and saves it after that. */
    @Test
    void aRefreshThatIsUnderWayBringsNothingThatOutlivesTheSession() {
        Tokens first = logIn("rotating", "bob", "read");
        Tokens second = refresh("rotating", first.refresh());
        var service = issuer.bean(OAuth2AuthorizationService.class);
        OAuth2Authorization underWay = service.findByToken(second.refresh(), OAuth2TokenType.REFRESH_TOKEN);
        assertRefused(tryRefresh("rotating", first.refresh()));

        Instant now = Instant.now();
        Instant later = now.plusSeconds(3600);
        String access = Jwts.of("bob");
        service.save(OAuth2Authorization.from(underWay)
                .accessToken(new OAuth2AccessToken(OAuth2AccessToken.TokenType.BEARER, access, now, later))
                .refreshToken(new OAuth2RefreshToken("third", now, later))
                .build());
        assertRevoked(resources.get("/hello", access));
        assertRefused(tryRefresh("rotating", "third"));
    }

    private static void assertRefused(HttpResponse<String> response) {
        assertThat(response.statusCode()).isEqualTo(400);
        assertThat(response.body()).contains("invalid_grant");
    }

    private static boolean isActive(String client, String token) {
        HttpResponse<String> response = call(client, "/oauth2/introspect", Map.of("token", token));
        assertThat(response.statusCode()).isEqualTo(200);
        return response.body().contains("\"active\":true");
    }

    private static Tokens refresh(String client, String token) {
        return tokens(tryRefresh(client, token));
    }

    private static HttpResponse<String> tryRefresh(String client, String token) {
        return call(client, "/oauth2/token", Map.of("grant_type", "refresh_token", "refresh_token", token));
    }

    private static Tokens tokens(HttpResponse<String> response) {
        assertThat(response.statusCode()).as("%s", response.body()).isEqualTo(200);
        return new Tokens(
                found("\"access_token\":\"([^\"]*)\"", response.body()),
                found("\"refresh_token\":\"([^\"]*)\"", response.body()));
    }

    /** As a browser does: to the log-in page, and back with a code. */
    private static Tokens logIn(String client, String user, String scope) {
        HttpClient browser = App.browser();
        URI authorize = issuer.uri("/oauth2/authorize?response_type=code&state=s&client_id=" + client + "&scope="
                + encoded(scope) + "&redirect_uri=" + encoded(REDIRECT));
        assertThat(App.send(browser, page(authorize)).statusCode()).isEqualTo(302);
        String loginPage = App.send(browser, page(issuer.uri("/login"))).body();
        HttpResponse<String> loggedIn = App.send(
                browser,
                HttpRequest.newBuilder(issuer.uri("/login"))
                        .header("Content-Type", "application/x-www-form-urlencoded")
                        .POST(HttpRequest.BodyPublishers.ofString(form(Map.of(
                                "username",
                                user,
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
                client,
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

    private static HttpResponse<String> call(String client, String path, Map<String, String> parameters) {
        return issuer.send(issuer.request(path, null)
                .header(
                        "Authorization",
                        "Basic "
                                + Base64.getEncoder()
                                        .encodeToString(
                                                (client + ":secret-of-" + client).getBytes(StandardCharsets.UTF_8)))
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
