package dev.curfew.mongo;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.RevokeOutcome;
import dev.curfew.TokenResource;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.MongoServer;
import java.io.File;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Opening by URL, whatever the context class loader of the thread knows. */
class ClassLoaderTest {
    private static final Duration DEADLINE = Duration.ofMinutes(1);

    private void open() {
        try (TokenResource tokens = Fixture.builder(Fixture.newDomain())
                .callDeadline(DEADLINE)
                .url(MongoServer.shared().url())
                .build()) {
            assertThat(tokens.revokeJti("t")).isEqualTo(RevokeOutcome.REVOKED);
        }
    }

    @Test
    void withoutAContextClassLoader() throws Exception {
        var opening = new FutureTask<>(this::open, true);
        var thread = new Thread(opening);
        thread.setContextClassLoader(null);
        thread.start();
        opening.get(1, TimeUnit.MINUTES);
    }

    @Test
    void inAForkJoinPool() throws Exception {
        ForkJoinPool.commonPool().submit(this::open).get(1, TimeUnit.MINUTES);
    }

    /** As in a servlet container: all of the application is in a class loader of its own. */
    @Test
    void inAClassLoaderOfItsOwn() throws Exception {
        List<URL> path = new ArrayList<>();
        for (String each : System.getProperty("java.class.path").split(File.pathSeparator)) {
            path.add(Path.of(each).toUri().toURL());
        }
        try (var own = new URLClassLoader(path.toArray(URL[]::new), ClassLoader.getPlatformClassLoader())) {
            Class<?> provider = own.loadClass(MongoTokenStoreProvider.class.getName());
            assertThat(provider).isNotSameAs(MongoTokenStoreProvider.class);
            for (ClassLoader context : new ClassLoader[] {null, ClassLoader.getPlatformClassLoader(), own}) {
                var opening = new FutureTask<>(() -> {
                    Object store = provider.getMethod("open", String.class, Duration.class, Duration.class)
                            .invoke(
                                    provider.getConstructor().newInstance(),
                                    MongoServer.shared().url(),
                                    DEADLINE,
                                    DEADLINE);
                    Class<?> scopeClass = own.loadClass("dev.curfew.StoreScope");
                    Object scope = scopeClass
                            .getConstructor(String.class, String.class, Duration.class, Duration.class)
                            .newInstance(Fixture.newDomain(), "", Fixture.SKEW, DEADLINE);
                    store.getClass().getMethod("prepare", scopeClass).invoke(store, scope);
                    Object time =
                            store.getClass().getMethod("serverTime", scopeClass).invoke(store, scope);
                    store.getClass().getMethod("close").invoke(store);
                    return time;
                });
                var thread = new Thread(opening);
                thread.setContextClassLoader(context);
                thread.start();
                assertThat(opening.get(1, TimeUnit.MINUTES)).isNotNull();
            }
        }
    }
}
