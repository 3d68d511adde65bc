package dev.curfew.spring;

import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.spring.CurfewProperties.Store;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;
import org.springframework.aot.hint.RuntimeHints;
import org.springframework.aot.hint.RuntimeHintsRegistrar;
import org.springframework.beans.factory.ListableBeanFactory;
import org.springframework.util.ClassUtils;

/** Chooses the store from the properties and the application's beans. The last sentence of a failure is what to do. */
final class StoreChoice implements RuntimeHintsRegistrar {
    private static final List<String> JDBC =
            List.of("dev.curfew.jdbc.JdbcTokenStore", "org.springframework.jdbc.datasource.DelegatingDataSource");
    private static final List<String> REDIS = List.of(
            "dev.curfew.redis.RedisTokenStore",
            "org.springframework.data.redis.connection.lettuce.LettuceConnectionFactory");
    private static final List<String> MONGO =
            List.of("dev.curfew.mongo.MongoTokenStore", "org.springframework.data.mongodb.MongoDatabaseFactory");
    private static final List<String> MEMORY = List.of("dev.curfew.memory.MemoryTokenStore");

    /** In a native image, a class that is looked for by its name must be listed. */
    @Override
    public void registerHints(RuntimeHints hints, @Nullable ClassLoader loader) {
        Stream.of(JDBC, REDIS, MONGO, MEMORY)
                .flatMap(List::stream)
                .forEach(type -> hints.reflection().registerTypeIfPresent(loader, type));
    }

    static void apply(
            CurfewProperties properties,
            @Nullable String url,
            ListableBeanFactory beans,
            TokenResource.Builder builder) {
        Map<Store, Candidate> candidates = new EnumMap<>(Store.class);
        if (isThere(JDBC)) {
            candidates.put(Store.JDBC, Candidate.Jdbc.candidate(beans, properties));
        }
        if (isThere(REDIS)) {
            candidates.put(Store.REDIS, Candidate.Redis.candidate(beans));
        }
        if (isThere(MONGO)) {
            candidates.put(Store.MONGO, Candidate.Mongo.candidate(beans));
        }
        Store store = properties.store() == null ? found(url, candidates) : properties.store();
        Candidate candidate = candidates.get(store);
        if (store == Store.MEMORY) {
            builder.url("memory:");
        } else if (store == Store.URL && url != null) {
            builder.url(url);
        } else if (candidate != null && candidate.factory() != null) {
            builder.store(candidate.factory().get());
        } else {
            throw failure(
                    "The token store " + store + " cannot be made: it needs its jar of Curfew and exactly one bean,"
                            + " a DataSource, a connection factory of Lettuce (not of Jedis), or a MongoDatabaseFactory. Add what is"
                            + " missing, mark one of several DataSource beans with @CurfewDataSource, or set curfew.url");
        }
    }

    private static Store found(@Nullable String url, Map<Store, Candidate> candidates) {
        List<Store> meant = candidates.entrySet().stream()
                .filter(each -> each.getValue().isMeant())
                .map(Map.Entry::getKey)
                .toList();
        if (url != null) {
            return Store.URL;
        } else if (meant.size() > 1) {
            throw failure("The application has the means for several token stores: " + meant
                    + ". Set curfew.store to one of them, or set curfew.url");
        } else if (meant.size() == 1) {
            return meant.get(0);
        } else if (!isThere(MEMORY)) {
            throw failure("There is no token store. Add dev.curfew:curfew-store-jdbc, curfew-store-redis or"
                    + " curfew-store-mongo and Spring's starter for its driver, or set curfew.url");
        }
        LoggerFactory.getLogger(StoreChoice.class)
                .warn(
                        "Tokens are kept in the memory of this process: a revocation is unknown to other instances, and is"
                                + " lost at a restart. For production add a store, such as dev.curfew:curfew-store-jdbc, or set"
                                + " curfew.url. curfew.url=memory: says that this is meant.");
        return Store.MEMORY;
    }

    private static boolean isThere(List<String> types) {
        return types.stream().allMatch(type -> ClassUtils.isPresent(type, null));
    }

    private static TokenStoreException failure(String message) {
        return new TokenStoreException(Outcome.UNCHANGED, message, null);
    }
}
