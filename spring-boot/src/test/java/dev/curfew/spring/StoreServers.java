package dev.curfew.spring;

import dev.curfew.servers.Fixture;
import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.RedisServer;
import dev.curfew.servers.TestServer;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.Stream;

/** The servers of the tests, and the properties by which an application finds them. */
final class StoreServers {
    private StoreServers() {}

    /** The one for all tests of this JVM that do it no harm. */
    static TestServer shared(String kind) {
        return kind.equals("jdbc") ? PostgresServer.shared() : RedisServer.shared(RedisServer.version());
    }

    /** One to be killed. */
    static TestServer start(String kind) {
        return kind.equals("jdbc")
                ? PostgresServer.start(Map.of())
                : RedisServer.start(RedisServer.version(), Map.of("appendonly", "yes", "appendfsync", "always"));
    }

    /** The properties for the store, with a domain of its own, and more. */
    static String[] properties(TestServer server, String... more) {
        String[] properties = {
            Jwts.publicKeyProperty(),
            "curfew.domain=" + Fixture.newDomain(),
            "curfew.jdbc.initialize-schema=always",
            server instanceof RedisServer redis
                    ? "spring.data.redis.url=" + redis.url()
                    : "spring.datasource.url=" + ((PostgresServer) server).url()
        };
        return with(properties, more);
    }

    static String[] with(String[] properties, String... more) {
        return Stream.concat(Arrays.stream(properties), Arrays.stream(more)).toArray(String[]::new);
    }
}
