package dev.curfew.spring;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.TestServer;
import java.net.URLEncoder;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import org.junit.jupiter.api.Test;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.config.web.server.ServerHttpSecurity;
import org.springframework.security.core.userdetails.MapReactiveUserDetailsService;
import org.springframework.security.core.userdetails.User;
import org.springframework.security.core.userdetails.UserDetails;
import org.springframework.security.provisioning.InMemoryUserDetailsManager;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.server.SecurityWebFilterChain;

/** Log-ins by a magic link. */
class OneTimeTokenTest {
    private static final LinkedBlockingQueue<String> SENT = new LinkedBlockingQueue<>();

    private static UserDetails ada() {
        return User.withUsername("ada").password("{noop}unused").roles("USER").build();
    }

    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    @Import(ResourceServer.Hello.class)
    static class MagicLinks {
        @Bean
        InMemoryUserDetailsManager users() {
            return new InMemoryUserDetailsManager(ada());
        }

        @Bean
        SecurityFilterChain chain(HttpSecurity http) throws Exception {
            return http.authorizeHttpRequests(any -> any.anyRequest().authenticated())
                    .csrf(AbstractHttpConfigurer::disable)
                    .oneTimeTokenLogin(ott -> ott.tokenGenerationSuccessHandler(
                            (request, response, token) -> SENT.add(token.getTokenValue())))
                    .build();
        }
    }

    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    @Import(ReactiveTest.Hello.class)
    static class ReactiveMagicLinks {
        @Bean
        MapReactiveUserDetailsService users() {
            return new MapReactiveUserDetailsService(ada());
        }

        @Bean
        SecurityWebFilterChain chain(ServerHttpSecurity http) {
            return http.authorizeExchange(any -> any.anyExchange().authenticated())
                    .csrf(ServerHttpSecurity.CsrfSpec::disable)
                    .oneTimeTokenLogin(ott -> ott.tokenGenerationSuccessHandler((exchange, token) -> {
                        SENT.add(token.getTokenValue());
                        return exchange.getResponse().setComplete();
                    }))
                    .build();
        }
    }

    private static HttpResponse<String> form(App app, String path, String name, String value) {
        return App.send(
                App.browser(),
                app.request(path, null)
                        .header("Content-Type", "application/x-www-form-urlencoded")
                        .POST(HttpRequest.BodyPublishers.ofString(
                                name + "=" + URLEncoder.encode(value, StandardCharsets.UTF_8))));
    }

    private static boolean isIn(HttpResponse<String> response) {
        assertThat(response.statusCode()).isEqualTo(302);
        return !response.headers().firstValue("Location").orElseThrow().contains("error");
    }

    @Test
    void ofTwentyClicksOneLogsInAndTheTableHasNoSecret() throws Exception {
        for (Class<?> application : List.of(MagicLinks.class, ReactiveMagicLinks.class)) {
            TestServer server = StoreServers.shared("jdbc");
            String[] properties = StoreServers.properties(
                    server,
                    "curfew.one-time-token.enabled=true",
                    "spring.main.web-application-type=" + (application == MagicLinks.class ? "servlet" : "reactive"));
            try (App app = App.start(application, properties)) {
                form(app, "/ott/generate", "username", "ada");
                String secret = SENT.remove();
                assertThat(rowsWith(server, properties[1], "ada")).isEqualTo(1);
                assertThat(rowsWith(server, properties[1], secret)).isZero();
                assertThat(clicks(app, secret, 20)).isEqualTo(1);
                assertThat(isIn(form(app, "/login/ott", "token", secret))).isFalse();
                assertThat(isIn(form(app, "/login/ott", "token", "never given out")))
                        .isFalse();
                assertThat(isIn(form(app, "/login/ott", "token", "x".repeat(70_000))))
                        .isFalse();
                form(app, "/ott/generate", "username", "ada");
                assertThat(isIn(form(app, "/login/ott", "token", SENT.remove())))
                        .isTrue();
            }
        }
    }

    private static long clicks(App app, String secret, int threads) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        try {
            List<Callable<Boolean>> clicks = new ArrayList<>();
            for (int i = 0; i < threads; i++) {
                clicks.add(() -> isIn(form(app, "/login/ott", "token", secret)));
            }
            long in = 0;
            for (Future<Boolean> click : pool.invokeAll(clicks)) {
                in += click.get() ? 1 : 0;
            }
            return in;
        } finally {
            pool.shutdownNow();
        }
    }

    private static int rowsWith(TestServer server, String domain, String text) throws SQLException {
        String table = "curfew_" + domain.substring(domain.indexOf('=') + 1);
        try (Connection connection = DriverManager.getConnection(((PostgresServer) server).url());
                Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(
                        "SELECT count(*) FROM \"" + table + "\" t WHERE t::text LIKE '%" + text + "%'")) {
            rows.next();
            return rows.getInt(1);
        }
    }
}
