package dev.curfew.spring;

import dev.curfew.TokenStore;
import dev.curfew.jdbc.JdbcTokenStore;
import dev.curfew.mongo.MongoTokenStore;
import dev.curfew.redis.RedisTokenStore;
import dev.curfew.spring.CurfewProperties.Initialization;
import io.lettuce.core.AbstractRedisClient;
import io.lettuce.core.RedisClient;
import io.lettuce.core.cluster.RedisClusterClient;
import java.util.function.Function;
import java.util.function.Supplier;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.ListableBeanFactory;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.data.mongodb.MongoDatabaseFactory;
import org.springframework.data.redis.connection.RedisConnectionFactory;
import org.springframework.data.redis.connection.lettuce.LettuceConnectionFactory;
import org.springframework.jdbc.datasource.DelegatingDataSource;
import org.springframework.jdbc.datasource.TransactionAwareDataSourceProxy;

/**
 * A store that could be made of the application's beans. Each kind has a class of its own, which is loaded where its
 * libraries are there.
 *
 * @param isMeant whether the application has any bean for it
 * @param factory makes the store, or {@code null} where there is not exactly one bean for it
 */
record Candidate(boolean isMeant, @Nullable Supplier<TokenStore> factory) {

    static <T> Candidate of(ObjectProvider<?> beans, @Nullable T one, Function<T, TokenStore> factory) {
        return new Candidate(beans.stream().findAny().isPresent(), one == null ? null : () -> factory.apply(one));
    }

    /** The application's data source. */
    static final class Jdbc {
        static Candidate candidate(ListableBeanFactory beans, CurfewProperties properties) {
            ObjectProvider<DataSource> all = beans.getBeanProvider(DataSource.class);
            String[] marked = beans.getBeanNamesForAnnotation(CurfewDataSource.class);
            DataSource one = marked.length == 0 ? all.getIfUnique() : beans.getBean(marked[0], DataSource.class);
            return of(all, one, dataSource -> {
                JdbcTokenStore store = JdbcTokenStore.create(plain(dataSource));
                if (properties.jdbc().initializeSchema() == Initialization.ALWAYS) {
                    store.createSchema(properties.domain());
                }
                return store;
            });
        }

        /** A proxy that knows of transactions would lend the application's own connection, on which a check commits. */
        static DataSource plain(DataSource given) {
            DataSource target = given instanceof DelegatingDataSource proxy ? proxy.getTargetDataSource() : null;
            DataSource plain = target == null ? given : plain(target);
            return given instanceof TransactionAwareDataSourceProxy || plain != target ? plain : given;
        }
    }

    /** The application's Redis, if by Lettuce. */
    static final class Redis {
        static Candidate candidate(ListableBeanFactory beans) {
            ObjectProvider<RedisConnectionFactory> all = beans.getBeanProvider(RedisConnectionFactory.class);
            return of(all, all.getIfUnique() instanceof LettuceConnectionFactory one ? one : null, lettuce -> {
                AbstractRedisClient client = lettuce.getRequiredNativeClient();
                return client instanceof RedisClusterClient cluster
                        ? RedisTokenStore.create(cluster)
                        : RedisTokenStore.create((RedisClient) client);
            });
        }
    }

    /** The application's MongoDB. */
    static final class Mongo {
        static Candidate candidate(ListableBeanFactory beans) {
            ObjectProvider<MongoDatabaseFactory> all = beans.getBeanProvider(MongoDatabaseFactory.class);
            return of(all, all.getIfUnique(), one -> MongoTokenStore.create(one.getMongoDatabase()));
        }
    }
}
