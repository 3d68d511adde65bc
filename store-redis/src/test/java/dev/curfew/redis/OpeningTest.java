package dev.curfew.redis;

import static dev.curfew.servers.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.InstanceOfAssertFactories.STRING;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.curfew.Consumption.Consumed;
import dev.curfew.RevokeOutcome;
import dev.curfew.Rotation.Rotated;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisCluster;
import dev.curfew.servers.RedisServer;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisURI;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.resource.ClientResources;
import io.lettuce.core.resource.DefaultClientResources;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;

/** The findings about a server when a resource is built on it. */
class OpeningTest {
    /** Rights that only minReplicas needs, or that a store can do without. */
    private static final Set<String> OPTIONAL = Set.of("+hello", "+wait", "+config|get");

    private final String domain = Fixture.newDomain();
    private final ListAppender<ILoggingEvent> log = new ListAppender<>();
    private final Logger logger = (Logger) LoggerFactory.getLogger(RedisTokenStore.class);

    @BeforeEach
    void listen() {
        log.start();
        logger.addAppender(log);
        logger.setLevel(Level.WARN);
        logger.setAdditive(false);
    }

    @AfterEach
    void stopListening() {
        logger.detachAppender(log);
        logger.setLevel(null);
        logger.setAdditive(true);
    }

    private List<String> said(String url) {
        log.list.clear();
        Fixture.builder(domain).url(url).build().close();
        return log.list.stream().map(ILoggingEvent::getFormattedMessage).toList();
    }

    private static RedisServer server(String... settings) {
        Map<String, String> all = new java.util.LinkedHashMap<>();
        for (int i = 0; i < settings.length; i += 2) {
            all.put(settings[i], settings[i + 1]);
        }
        return RedisServer.start(RedisServer.version(), all);
    }

    @ParameterizedTest
    @ValueSource(strings = {"7.0", "7.4"})
    void R8_5_ofAServerAsThePageRecommendsThereIsNothingToSay(String version) {
        try (RedisServer server = RedisServer.start(version, Map.of("maxmemory", "100mb"))) {
            assertThat(said(server.url())).isEmpty();
            assertThat(said(server.url() + "?strictDurability=true")).isEmpty();
        }
    }

    @Test
    void R9_1_nullIsRefusedByName() {
        RedisClient none = null;
        RedisClusterClient noCluster = null;
        for (ThrowingCallable call : List.<ThrowingCallable>of(
                () -> RedisTokenStore.create(none),
                () -> RedisTokenStore.create(noCluster),
                () -> RedisTokenStore.builder(none))) {
            assertThatThrownBy(call)
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("client must not be null");
        }
    }

    @Test
    void R8_5_whatMayLoseRevocationsIsSaidOnceWithTheRemedy() {
        try (RedisServer server = server("appendonly", "no", "maxmemory-policy", "volatile-lru")) {
            assertThat(said(server.url()))
                    .singleElement(STRING)
                    .contains("domain '" + domain + "'")
                    .contains("maxmemory-policy is volatile-lru", "set it to noeviction")
                    .contains("no append-only file", "set appendonly yes and appendfsync always");
            assertThatThrownBy(() -> said(server.url() + "?strictDurability=true"))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("volatile-lru")
                    .hasMessageContaining("strictDurability");
        }
        try (RedisServer server = server("appendfsync", "everysec")) {
            assertThat(said(server.url()))
                    .singleElement(STRING)
                    .contains("appendfsync is everysec")
                    .doesNotContain("maxmemory");
            server.command("CONFIG", "SET", "appendfsync", "always");
            server.command("CONFIG", "SET", "no-appendfsync-on-rewrite", "yes");
            assertThat(said(server.url())).singleElement(STRING).contains("no-appendfsync-on-rewrite is yes");
        }
    }

    @Test
    void R8_5_aClusterIsLookedAtMasterByMaster() {
        try (RedisCluster cluster = RedisCluster.start(RedisServer.version(), Map.of())) {
            assertThat(said(cluster.url() + "?minReplicas=1&strictDurability=true"))
                    .isEmpty();
            RedisClusterClient seldom = Servers.clusterClient(cluster);
            try (RedisTokenStore store = RedisTokenStore.create(seldom)) {
                store.prepare(Fixture.scope(domain));
                assertThat(log.list)
                        .singleElement()
                        .satisfies(line ->
                                assertThat(line.getFormattedMessage()).contains(domain, "enablePeriodicRefresh"));
            }
            seldom.shutdown();
            cluster.masters().get(1).command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
            assertThat(said(cluster.url())).singleElement(STRING).contains("allkeys-lru");
            assertThatThrownBy(() -> said(cluster.masters().get(0).url()))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("node of a cluster")
                    .hasMessageContaining("redis-cluster://");
        }
    }

    @Test
    void aReplicaIsRefused() {
        try (RedisServer master = server();
                RedisServer replica = server("replicaof", "127.0.0.1 " + master.port())) {
            assertThatThrownBy(() -> said(replica.url()))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("is a replica")
                    .hasMessageContaining("Connect to its master");
        }
    }

    /** The rights in the page's line. */
    private static List<String> leastRights() throws IOException {
        Matcher line = Pattern.compile("(?m)^ACL SETUSER curfew on >PASSWORD (.*)$")
                .matcher(Files.readString(Path.of("../docs/redis.md")));
        assertThat(line.find()).isTrue();
        List<String> words = new ArrayList<>(List.of("ACL", "SETUSER", "least", "on", ">Pw7-of-test"));
        words.addAll(List.of(line.group(1).split(" ", -1)));
        return words;
    }

    @ParameterizedTest
    @ValueSource(strings = {"7.0", "7.4"})
    void theLeastRightsOfThePageAreEnough(String version) throws IOException {
        try (RedisServer server = RedisServer.start(version, Map.of())) {
            List<String> rights = leastRights();
            server.command(rights.toArray(String[]::new));
            String url = "redis://least:Pw7-of-test@127.0.0.1:" + server.port();
            assertThat(said(url)).isEmpty();
            try (TokenResource tokens =
                    Fixture.builder(domain).url(url + "?minReplicas=0").build()) {
                tokens.storeToken(token("t", "s"), "p", Map.of("k", 1));
                tokens.storeToken(token("t", "s"), "p");
                assertThat(tokens.consume("t", "p")).isInstanceOf(Consumed.class);
                tokens.storeToken(token("u", "s"));
                assertThat(tokens.listTokens("s")).hasSize(1);
                tokens.getToken("u");
                tokens.revokeSubject("s");
                tokens.check(token("u", "s"));
                assertThat(tokens.revokeAllStoredForSubject("s")).isEqualTo(1);
                assertThat(tokens.revokeToken(token("v", "s"))).isEqualTo(RevokeOutcome.REVOKED);
                assertThat(tokens.isRevoked("v")).isTrue();
                Token refresh = token("r", "s2").withSession("phone");
                tokens.storeToken(refresh, "p");
                assertThat(tokens.rotate(refresh, "p", token("r2", "s2").withSession("phone")))
                        .isInstanceOf(Rotated.class);
                assertThat(tokens.revokeToken(refresh)).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
                assertThat(tokens.revokeSession("phone")).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
                assertThat(tokens.revokeSession("laptop")).isEqualTo(RevokeOutcome.REVOKED);
                assertThat(tokens.getToken("r2")).isEmpty();
                server.command("SCRIPT", "FLUSH");
                assertThat(tokens.revokeToken(token("w", "s"))).isEqualTo(RevokeOutcome.REVOKED);
            }
            // Each of the rights is needed.
            for (String right : rights.subList(5, rights.size())) {
                if (right.startsWith("+") && !OPTIONAL.contains(right)) {
                    server.command("ACL", "SETUSER", "least", "-" + right.substring(1));
                    if (right.equals("+evalsha") || right.equals("+eval")) {
                        server.command("SCRIPT", "FLUSH");
                    }
                    assertThat(lacking(url)).as("without " + right).isNotEmpty();
                    server.command("ACL", "SETUSER", "least", right);
                }
            }
        }
    }

    @Test
    void inAClusterTheDriverNeedsAFewMore() throws IOException {
        try (RedisCluster cluster = RedisCluster.start(RedisServer.version(), Map.of())) {
            List<String> rights = leastRights();
            rights.add("+cluster|nodes");
            cluster.nodes().forEach(node -> node.command(rights.toArray(String[]::new)));
            String url = cluster.url().replace("://", "://least:Pw7-of-test@") + "?minReplicas=1";
            assertThat(said(url)).isEmpty();
            try (TokenResource tokens = Fixture.builder(domain).url(url).build()) {
                assertThat(tokens.revokeToken(token("v", "s"))).isEqualTo(RevokeOutcome.REVOKED);
            }
        }
    }

    private List<String> lacking(String url) {
        try {
            return said(url);
        } catch (TokenStoreException e) {
            return List.of(e.getMessage());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"7.0", "7.4"})
    void missingRightsAreSaidWithTheRemedy(String version) {
        try (RedisServer server = RedisServer.start(version, Map.of())) {
            server.command("ACL", "SETUSER", "visitor", "on", ">Pw7-of-test", "~*", "+@all", "-zadd");
            String url = "redis://visitor:Pw7-of-test@127.0.0.1:" + server.port();
            assertThat(said(url))
                    .singleElement(STRING)
                    .contains("lacks a right: ZADD")
                    .doesNotContain("visitor");
            assertThatThrownBy(() -> said(url + "?strictDurability=true"))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("strictDurability");
            server.command("ACL", "SETUSER", "visitor", "resetkeys", "~other:*");
            // Without the keys the skew of the domain can be neither read nor kept.
            assertThatThrownBy(() -> said(url)).hasMessageContaining("a right is missing");
            server.command("ACL", "SETUSER", "visitor", "-info", "-evalsha", "-eval");
            assertThatThrownBy(() -> said(url)).hasMessageContaining("a right is missing");
            // Many providers do not allow CONFIG.
            server.command("ACL", "SETUSER", "visitor", "reset", "on", ">Pw7-of-test", "~*", "+@all", "-config");
            assertThat(said(url)).isEmpty();
            // But strictDurability has to see the settings.
            assertThatThrownBy(() -> said(url + "?strictDurability=true"))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("cannot be seen");
        }
    }

    /** A client of the store's own, on resources that the application shares among its clients. */
    @Test
    void onTheApplicationsResources() {
        ClientResources resources = DefaultClientResources.create();
        try (RedisServer server = server()) {
            try (RedisTokenStore store = RedisTokenStore.builder(resources, RedisURI.create(server.url()))
                            .strictDurability()
                            .build();
                    TokenResource tokens = Fixture.resource(store, domain)) {
                assertThat(tokens.revokeToken(token("t", "s"))).isEqualTo(RevokeOutcome.REVOKED);
            }
            assertThat(Servers.connections(List.of(server))).isZero();
            // The resources are still open.
            var client = RedisClient.create(resources, server.url());
            try (var connection = client.connect()) {
                assertThat(connection.sync().ping()).isEqualTo("PONG");
            }
            client.shutdown();
        } finally {
            resources.shutdown().awaitUninterruptibly();
        }
    }

    @Test
    void minReplicasIsNotNegative() {
        assertThatThrownBy(() -> RedisTokenStore.builder(RedisClient.create()).minReplicas(-1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("minReplicas");
    }
}
