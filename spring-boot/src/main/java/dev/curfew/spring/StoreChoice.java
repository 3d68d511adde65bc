package dev.curfew.spring;

import dev.curfew.TokenResource;
import dev.curfew.TokenStore;
import dev.curfew.spring.CurfewProperties.Store;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.aot.hint.RuntimeHints;
import org.springframework.aot.hint.RuntimeHintsRegistrar;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.beans.factory.ListableBeanFactory;
import org.springframework.util.ClassUtils;

/** Chooses the store from the properties and the application's beans, and closes it after the token resource. */
final class StoreChoice implements DisposableBean {
    private static final Logger LOG = LoggerFactory.getLogger(StoreChoice.class);

    private static final List<String> JDBC =
            List.of("dev.curfew.jdbc.JdbcTokenStore", "org.springframework.jdbc.datasource.DelegatingDataSource");
    private static final List<String> REDIS = List.of(
            "dev.curfew.redis.RedisTokenStore",
            "org.springframework.data.redis.connection.lettuce.LettuceConnectionFactory");
    private static final List<String> MONGO =
            List.of("dev.curfew.mongo.MongoTokenStore", "org.springframework.data.mongodb.MongoDatabaseFactory");
    private static final List<String> MEMORY = List.of("dev.curfew.memory.MemoryTokenStore");

    private final @Nullable Store named;
    private final @Nullable String url;
    private final Map<Store, Candidate> candidates = new EnumMap<>(Store.class);
    private @Nullable TokenStore made;

    StoreChoice(CurfewProperties properties, @Nullable String url, ListableBeanFactory beans) {
        this.named = properties.store();
        this.url = url;
        if (isThere(JDBC)) {
            candidates.put(Store.JDBC, Candidate.Jdbc.candidate(beans, properties));
        }
        if (isThere(REDIS)) {
            candidates.put(Store.REDIS, Candidate.Redis.candidate(beans));
        }
        if (isThere(MONGO)) {
            candidates.put(Store.MONGO, Candidate.Mongo.candidate(beans));
        }
    }

    private static boolean isThere(List<String> types) {
        return types.stream().allMatch(type -> ClassUtils.isPresent(type, null));
    }

    /** In a native image, a class that is looked for by its name must be listed. */
    static final class Hints implements RuntimeHintsRegistrar {
        @Override
        public void registerHints(RuntimeHints hints, @Nullable ClassLoader loader) {
            Stream.of(JDBC, REDIS, MONGO, MEMORY)
                    .flatMap(List::stream)
                    .forEach(type -> hints.reflection().registerTypeIfPresent(loader, type));
        }
    }

    /** The store could not be chosen. */
    static final class Failure extends RuntimeException {
        private static final long serialVersionUID = 1;
        final String action;

        Failure(String description, String action) {
            super(description);
            this.action = action;
        }
    }

    void applyTo(TokenResource.Builder builder) {
        Store store = named == null ? found() : named;
        if (store == Store.MEMORY) {
            builder.url("memory:");
        } else if (store != Store.URL) {
            made = factory(store).get();
            builder.store(made);
        } else if (url != null) {
            builder.url(url);
        } else {
            throw new Failure("curfew.store is 'url', and curfew.url is not set.", "Set curfew.url.");
        }
    }

    private Store found() {
        Map<Store, Candidate> meant = new EnumMap<>(candidates);
        meant.values().removeIf(each -> !each.isMeant());
        if (url != null) {
            return Store.URL;
        } else if (meant.size() > 1) {
            throw new Failure(
                    "The application has the means for several token stores: " + meant.keySet() + ".",
                    "Set curfew.store to one of them, or set curfew.url.");
        } else if (meant.size() == 1) {
            return meant.keySet().iterator().next();
        } else if (!isThere(MEMORY)) {
            throw new Failure(
                    "There is no token store: curfew.url is not set, and the application has no bean for a store of Curfew.",
                    "Add dev.curfew:curfew-store-jdbc, curfew-store-redis or curfew-store-mongo, or set curfew.url.");
        }
        LOG.warn(
                "Tokens are kept in the memory of this process: a revocation is unknown to other instances, and is lost at"
                        + " a restart. For production add a store, such as dev.curfew:curfew-store-jdbc, or set curfew.url."
                        + " curfew.url=memory: says that this is meant.");
        return Store.MEMORY;
    }

    private Supplier<TokenStore> factory(Store store) {
        Candidate candidate = candidates.get(store);
        if (candidate == null || candidate.factory() == null) {
            throw new Failure(
                    "The token store " + store + " cannot be made. It needs its jar of Curfew and exactly one bean: a"
                            + " DataSource, a connection factory of Lettuce (not of Jedis), or a MongoDatabaseFactory.",
                    "Add what is missing, mark one of several DataSource beans with @CurfewDataSource, or set curfew.url.");
        }
        return candidate.factory();
    }

    @Override
    public void destroy() {
        if (made != null) {
            made.close();
        }
    }
}
