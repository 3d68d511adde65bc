package dev.curfew.redis;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.RevokeOutcome;
import dev.curfew.TokenResource;
import dev.curfew.TokenStore;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisCluster;
import dev.curfew.servers.RedisServer;
import java.io.File;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;

/** Opened by URL, in threads whose context class loader knows neither Curfew nor Lettuce. */
class ClassLoadersTest {

    /** The application's code: it opens a store and uses it. */
    public static final class Opening implements Callable<String> {
        private final String url;

        /** @param url of the store */
        public Opening(String url) {
            this.url = url;
        }

        @Override
        public String call() {
            // Finding the provider is the core's affair.
            try (TokenStore store = new RedisTokenStoreProvider().open(url, Fixture.DEADLINE, Fixture.DEADLINE);
                    TokenResource tokens = Fixture.resource(store, Fixture.newDomain())) {
                return tokens.revokeToken(Fixture.token("t", "s")).name();
            }
        }
    }

    private static void assertOpens(Callable<String> opening) throws Exception {
        var withoutLoader = new FutureTask<>(opening);
        var thread = new Thread(withoutLoader);
        thread.setContextClassLoader(null);
        thread.start();
        assertThat(withoutLoader.get()).isEqualTo(RevokeOutcome.REVOKED.name());
        var pool = new ForkJoinPool(1);
        assertThat(pool.submit(opening).get()).isEqualTo(RevokeOutcome.REVOKED.name());
        pool.shutdown();
    }

    @Test
    void openingByUrlNeedsNoContextClassLoader() throws Exception {
        try (RedisServer server = RedisServer.start(RedisServer.version(), Map.of());
                RedisCluster cluster = RedisCluster.start(RedisServer.version(), Map.of("appendonly", "no"))) {
            for (String url : List.of(server.url(), cluster.url())) {
                assertOpens(new Opening(url));
            }
        }
    }

    /** As in an application server: the system's class loader does not know the application's classes. */
    @Test
    void norThatTheSystemsClassLoaderKnowsCurfew() throws Exception {
        List<URL> classPath = new ArrayList<>();
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator, -1)) {
            classPath.add(url(entry));
        }
        try (RedisServer server = RedisServer.start(RedisServer.version(), Map.of());
                var application =
                        new URLClassLoader(classPath.toArray(URL[]::new), ClassLoader.getPlatformClassLoader())) {
            @SuppressWarnings("unchecked")
            var opening = (Callable<String>) application
                    .loadClass(Opening.class.getName())
                    .getConstructor(String.class)
                    .newInstance(server.url());
            assertThat(opening.getClass()).isNotEqualTo(Opening.class);
            assertOpens(opening);
        }
    }

    private static URL url(String entry) throws MalformedURLException {
        return new File(entry).toURI().toURL();
    }
}
