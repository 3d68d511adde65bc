package dev.curfew.spring;

import dev.curfew.servers.Fixture;
import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.RedisServer;
import dev.curfew.servers.TestServer;
import java.util.Map;

/** The servers of the tests, and the properties by which an application finds them. */
final class StoreServers {
    private StoreServers() {}

    static TestServer start(String kind) {
        return kind.equals("jdbc")
                ? PostgresServer.start(Map.of())
                : RedisServer.start(RedisServer.version(), Map.of("appendonly", "yes", "appendfsync", "always"));
    }

    /** The properties for the store, with a domain of its own, and more. */
    static String[] properties(TestServer server, String... more) {
        String[] properties = new String[more.length + 4];
        properties[0] = Jwts.publicKeyProperty();
        properties[1] = "curfew.domain=" + Fixture.newDomain();
        properties[2] = "curfew.jdbc.initialize-schema=always";
        properties[3] = server instanceof RedisServer redis
                ? "spring.data.redis.url=" + redis.url()
                : "spring.datasource.url=" + ((PostgresServer) server).url();
        System.arraycopy(more, 0, properties, 4, more.length);
        return properties;
    }
}
