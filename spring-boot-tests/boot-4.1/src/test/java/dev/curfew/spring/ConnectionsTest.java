package dev.curfew.spring;

import static dev.curfew.spring.StoresTest.NO_WEB;
import static dev.curfew.spring.StoresTest.analysis;
import static dev.curfew.spring.StoresTest.assertRevokes;
import static dev.curfew.spring.StoresTest.newDomain;
import static dev.curfew.spring.StoresTest.redis;
import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.jdbc.JdbcTokenStore;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.RedisCluster;
import dev.curfew.servers.RedisSentinels;
import dev.curfew.servers.RedisServer;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.data.redis.autoconfigure.DataRedisConnectionDetails;
import org.springframework.boot.diagnostics.FailureAnalysis;
import org.springframework.boot.jdbc.autoconfigure.JdbcConnectionDetails;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.jdbc.datasource.DriverManagerDataSource;

/** The ways in which an application is connected to its servers. They are tested on one version of Boot. */
class ConnectionsTest {
    private static final String NOTHING_LISTENS = "127.0.0.1:1";

    /** As Testcontainers and Docker Compose tell Boot where a server is: whatever the properties say. */
    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class ServiceConnections {
        @Bean
        DataRedisConnectionDetails redisDetails() {
            return new DataRedisConnectionDetails() {
                @Override
                public Standalone getStandalone() {
                    return Standalone.of("127.0.0.1", URI.create(redisUrl()).getPort());
                }
            };
        }

        @Bean
        JdbcConnectionDetails jdbcDetails() {
            return new JdbcConnectionDetails() {
                @Override
                public String getUsername() {
                    return null;
                }

                @Override
                public String getPassword() {
                    return null;
                }

                @Override
                public String getJdbcUrl() {
                    return PostgresServer.shared().url();
                }
            };
        }
    }

    private static String redisUrl() {
        return RedisServer.shared(RedisServer.version()).url();
    }

    @Test
    void serviceConnectionsAreTaken() {
        for (String store : new String[] {"jdbc", "redis"}) {
            try (App app = App.start(
                    ServiceConnections.class,
                    NO_WEB,
                    newDomain(),
                    "curfew.store=" + store,
                    "curfew.jdbc.initialize-schema=always",
                    "spring.datasource.url=jdbc:postgresql://" + NOTHING_LISTENS + "/none",
                    "spring.data.redis.url=redis://" + NOTHING_LISTENS)) {
                assertRevokes(app);
            }
        }
    }

    @Test
    void liquibaseGoesFirst(@TempDir Path migrations) throws Exception {
        String domain = Fixture.newDomain();
        String url = PostgresServer.shared().url();
        Path changes = migrations.resolve("curfew.sql");
        Files.writeString(
                changes,
                "--liquibase formatted sql\n--changeset curfew:1 splitStatements:false\n"
                        + JdbcTokenStore.create(new DriverManagerDataSource(url))
                                .schema(domain));
        try (App app = App.start(
                StoresTest.Plain.class,
                NO_WEB,
                "spring.datasource.url=" + url,
                "curfew.domain=" + domain,
                "spring.liquibase.enabled=true",
                "spring.liquibase.change-log=" + changes.toUri(),
                "spring.liquibase.database-change-log-table=changes_of_" + domain.replace('-', '_'),
                "spring.liquibase.database-change-log-lock-table=lock_of_" + domain.replace('-', '_'))) {
            assertRevokes(app);
        }
    }

    @Test
    void jedisIsAnErrorThatAsksForTheUrl() {
        String jedis = "spring.data.redis.client-type=jedis";
        FailureAnalysis analysis = analysis(StoresTest.Plain.class, NO_WEB, redis(), jedis);
        assertThat(analysis.getDescription()).contains("not of Jedis");
        assertThat(analysis.getAction()).contains("set curfew.url");
        try (App app =
                App.start(StoresTest.Plain.class, NO_WEB, newDomain(), redis(), jedis, "curfew.url=" + redisUrl())) {
            assertRevokes(app);
        }
    }

    @Test
    void sentinelsAreAsked() {
        try (RedisSentinels servers = RedisSentinels.start(RedisServer.version(), Map.of());
                App app = App.start(
                        StoresTest.Plain.class,
                        NO_WEB,
                        newDomain(),
                        "spring.data.redis.sentinel.master=curfew",
                        "spring.data.redis.sentinel.nodes="
                                + URI.create(servers.url()).getAuthority())) {
            assertRevokes(app);
        }
    }

    @Test
    void aClusterIsTaken() {
        try (RedisCluster servers = RedisCluster.start(RedisServer.version(), Map.of());
                App app = App.start(
                        StoresTest.Plain.class,
                        NO_WEB,
                        newDomain(),
                        "spring.data.redis.cluster.nodes="
                                + servers.nodes().stream()
                                        .map(each -> "127.0.0.1:" + each.port())
                                        .collect(Collectors.joining(",")))) {
            assertRevokes(app);
        }
    }
}
