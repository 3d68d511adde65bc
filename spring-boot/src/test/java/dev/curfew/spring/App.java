package dev.curfew.spring;

import dev.curfew.TokenResource;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.CookieHandler;
import java.net.CookieManager;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Supplier;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;

/** A real application on a random port. */
final class App implements AutoCloseable {
    /** What the class path has and a test does not ask for; Boot 3.5 and Boot 4 have different names for it. */
    private static final List<String> NOT_ASKED_FOR = List.of(
            "org.springframework.boot.autoconfigure.security.oauth2.server.servlet"
                    + ".OAuth2AuthorizationServerJwtAutoConfiguration",
            "org.springframework.boot.security.oauth2.server.authorization.autoconfigure.servlet"
                    + ".OAuth2AuthorizationServerJwtAutoConfiguration");

    private static final List<String> DATA_SOURCE = List.of(
            "org.springframework.boot.autoconfigure.jdbc.DataSourceAutoConfiguration",
            "org.springframework.boot.jdbc.autoconfigure.DataSourceAutoConfiguration");
    private static final List<String> REDIS = List.of(
            "org.springframework.boot.autoconfigure.data.redis.RedisAutoConfiguration",
            "org.springframework.boot.data.redis.autoconfigure.DataRedisAutoConfiguration");
    private static final List<String> MONGO = List.of(
            "org.springframework.boot.autoconfigure.mongo.MongoAutoConfiguration",
            "org.springframework.boot.autoconfigure.data.mongo.MongoDataAutoConfiguration",
            "org.springframework.boot.mongodb.autoconfigure.MongoAutoConfiguration",
            "org.springframework.boot.data.mongodb.autoconfigure.DataMongoAutoConfiguration");

    private static App shared;

    private final ConfigurableApplicationContext context;
    private final HttpClient client = HttpClient.newHttpClient();

    private App(ConfigurableApplicationContext context) {
        this.context = context;
    }

    /** The database and the servers that are not named by a property are left out. */
    static App start(Class<?> configuration, String... properties) {
        List<String> all = new ArrayList<>(List.of(properties));
        for (String byDefault : List.of(
                "server.port=0",
                "spring.main.banner-mode=off",
                "spring.jmx.enabled=false",
                "spring.main.web-application-type=servlet",
                "spring.flyway.enabled=false",
                "spring.liquibase.enabled=false",
                "spring.reactor.netty.shutdown-quiet-period=0s",
                "curfew.max-token-lifetime=1d")) {
            String name = byDefault.substring(0, byDefault.indexOf('=') + 1);
            if (all.stream().noneMatch(each -> each.startsWith(name))) {
                all.add(byDefault);
            }
        }
        List<String> excluded = new ArrayList<>(NOT_ASKED_FOR);
        excludeUnlessNamed("spring.datasource.url", DATA_SOURCE, all, excluded);
        excludeUnlessNamed("spring.data.redis", REDIS, all, excluded);
        excludeUnlessNamed("spring.mongo", MONGO, all, excluded);
        all.add("spring.autoconfigure.exclude=" + String.join(",", excluded));
        return new App(new SpringApplicationBuilder(configuration)
                .run(all.stream().map(each -> "--" + each).toArray(String[]::new)));
    }

    /** A resource server in memory, as Boot makes it, for all tests of this JVM; never closed. */
    static synchronized App shared() {
        if (shared == null) {
            shared = start(ResourceServer.class, Jwts.publicKeyProperty(), "curfew.url=memory:");
        }
        return shared;
    }

    private static void excludeUnlessNamed(
            String prefix, List<String> names, List<String> properties, List<String> excluded) {
        if (properties.stream().noneMatch(each -> each.startsWith(prefix))) {
            excluded.addAll(names);
        }
    }

    TokenResource tokens() {
        return context.getBean(TokenResource.class);
    }

    <T> T bean(Class<T> type) {
        return context.getBean(type);
    }

    URI uri(String path) {
        return URI.create("http://localhost:" + context.getEnvironment().getProperty("local.server.port") + path);
    }

    HttpResponse<String> get(String path, String token) {
        return send(request(path, token).GET());
    }

    HttpResponse<String> post(String path, String token) {
        return send(request(path, token).POST(HttpRequest.BodyPublishers.noBody()));
    }

    HttpRequest.Builder request(String path, String token) {
        HttpRequest.Builder request = HttpRequest.newBuilder(uri(path));
        return token == null ? request : request.header("Authorization", "Bearer " + token);
    }

    HttpResponse<String> send(HttpRequest.Builder request) {
        return send(client, request);
    }

    /** The answers to requests that are sent at once: each may wait for a server that is gone. */
    static List<HttpResponse<String>> atOnce(List<Supplier<HttpResponse<String>>> requests) {
        ExecutorService threads = Executors.newFixedThreadPool(requests.size());
        try {
            return requests.stream().map(each -> CompletableFuture.supplyAsync(each, threads)).toList().stream()
                    .map(CompletableFuture::join)
                    .toList();
        } finally {
            threads.shutdown();
        }
    }

    static HttpClient browser() {
        CookieHandler cookies = new CookieManager();
        return HttpClient.newBuilder().cookieHandler(cookies).build();
    }

    static HttpResponse<String> send(HttpClient client, HttpRequest.Builder request) {
        try {
            return client.send(request.build(), HttpResponse.BodyHandlers.ofString());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        context.close();
    }
}
