package dev.curfew.redis;

import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.TokenStoreProvider;
import io.lettuce.core.RedisURI;
import io.lettuce.core.SslVerifyMode;
import io.lettuce.core.cluster.RedisClusterURIUtil;
import io.lettuce.core.resource.ClientResources;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Opens a store by a URL: {@code redis://user:password@host:port/database} for one server,
 * {@code redis-sentinel://host,host,host/database?sentinelMasterId=…} through sentinels, and
 * {@code redis-cluster://host,host,host} for a cluster. With TLS the schemes are {@code rediss},
 * {@code rediss-sentinel} and {@code rediss-cluster}. Parameters are, among others, {@code strictDurability=true} and
 * {@code minReplicas=1}, as {@link RedisTokenStore.Builder} explains them, and {@code verifyPeer=CA} or {@code NONE}.
 */
public final class RedisTokenStoreProvider implements TokenStoreProvider {
    private static final Logger LOG = LoggerFactory.getLogger(RedisTokenStore.class);
    private static final Pattern THIS_MACHINE = Pattern.compile("(?i)localhost|127(\\.\\d+){3}|\\[?(::|(0:){7})1]?");

    /** Called by {@link java.util.ServiceLoader}. */
    public RedisTokenStoreProvider() {}

    @Override
    public String name() {
        return "redis";
    }

    @Override
    public Set<String> schemes() {
        return Set.of("redis", "rediss", "redis-sentinel", "rediss-sentinel", "redis-cluster", "rediss-cluster");
    }

    @Override
    public TokenStore open(String url, Duration callDeadline, Duration openDeadline) {
        var connectionUrl = new ConnectionUrl(url);
        String plain = connectionUrl.plain();
        ClientResources resources = Clients.resources();
        RedisTokenStore.Builder builder;
        try {
            if (plain.substring(0, plain.indexOf(':')).toLowerCase(Locale.ROOT).endsWith("-cluster")) {
                List<RedisURI> uris =
                        RedisClusterURIUtil.toRedisURIs(URI.create(plain.replaceFirst("(?i)-cluster", "")));
                warnOfNetwork(uris);
                builder = RedisTokenStore.builder(resources, uris);
            } else {
                RedisURI uri = RedisURI.create(plain);
                warnOfNetwork(uri.getSentinels().isEmpty() ? List.of(uri) : uri.getSentinels());
                builder = RedisTokenStore.builder(resources, uri);
            }
        } catch (IllegalArgumentException e) {
            Clients.shutDown(resources);
            // Without its message, which quotes the URL.
            throw new TokenStoreException(
                    Outcome.UNCHANGED,
                    "The URL is not one of Redis: redis://user:password@host:port/database,"
                            + " redis-sentinel://host,host/database?sentinelMasterId=name or redis-cluster://host,host, and"
                            + " the same with rediss for TLS; a special character in a password is written as in any URL,"
                            + " such as %40 for @",
                    null);
        }
        return (connectionUrl.strictDurability() ? builder.strictDurability() : builder)
                .minReplicas(connectionUrl.minReplicas())
                .owning(resources)
                .build();
    }

    /** Logs one warning, without the host's name, if another machine could listen or answer in the server's place. */
    private static void warnOfNetwork(List<RedisURI> uris) {
        RedisURI uri = uris.get(0); // all of them have the same settings for TLS
        if (uris.stream().allMatch(each -> THIS_MACHINE.matcher(each.getHost()).matches())) {
            return;
        }
        if (!uri.isSsl()) {
            LOG.warn(
                    "The URL leads to another host without TLS: whoever is in between can read the password, and answer"
                            + " in the server's place. Write rediss://, rediss-sentinel:// or rediss-cluster://.");
        } else if (uri.getVerifyMode() == SslVerifyMode.NONE) {
            LOG.warn(
                    "The URL says verifyPeer=NONE: whoever is in between can answer in the server's place. Leave it out,"
                            + " and name a trust store with the server's certificate: -Djavax.net.ssl.trustStore=…");
        }
    }
}
