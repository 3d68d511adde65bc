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
        boolean isCluster = plain.matches("(?is)rediss?-cluster:.*");
        List<RedisURI> uris;
        try {
            uris = isCluster
                    ? RedisClusterURIUtil.toRedisURIs(URI.create(plain.replaceFirst("(?i)-cluster", "")))
                    : List.of(RedisURI.create(plain));
        } catch (IllegalArgumentException e) {
            // Without its message, which quotes the URL.
            throw new TokenStoreException(Outcome.UNCHANGED, Failures.text("URL"), null);
        }
        List<RedisURI> sentinels = uris.get(0).getSentinels();
        warnOfNetwork(sentinels.isEmpty() ? uris : sentinels);
        ClientResources resources = Clients.resources();
        RedisTokenStore.Builder builder =
                isCluster ? RedisTokenStore.builder(resources, uris) : RedisTokenStore.builder(resources, uris.get(0));
        return (connectionUrl.strictDurability() ? builder.strictDurability() : builder)
                .minReplicas(connectionUrl.minReplicas())
                .owning(resources)
                .build();
    }

    /** Logs one warning, without the host's name, if another machine could listen or answer in the server's place. */
    private static void warnOfNetwork(List<RedisURI> uris) {
        RedisURI uri = uris.get(0); // all of them have the same settings for TLS
        boolean isSafe = uri.isSsl() && uri.getVerifyMode() != SslVerifyMode.NONE;
        if (!isSafe
                && !uris.stream()
                        .allMatch(each -> THIS_MACHINE.matcher(each.getHost()).matches())) {
            LOG.warn(Failures.text(uri.isSsl() ? "UNVERIFIED" : "UNENCRYPTED"));
        }
    }
}
