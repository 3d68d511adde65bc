package dev.curfew.spring;

import dev.curfew.TokenResource;
import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.jdbc.JdbcTokenStore;
import dev.curfew.mongo.MongoTokenStore;
import dev.curfew.redis.RedisTokenStore;
import dev.curfew.spring.CurfewProperties.Initialization;
import dev.curfew.spring.CurfewProperties.Store;
import io.lettuce.core.RedisClient;
import io.lettuce.core.cluster.RedisClusterClient;
import java.util.List;
import java.util.function.Supplier;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.data.mongodb.MongoDatabaseFactory;
import org.springframework.data.redis.connection.RedisConnectionFactory;
import org.springframework.data.redis.connection.lettuce.LettuceConnectionFactory;
import org.springframework.jdbc.datasource.DelegatingDataSource;
import org.springframework.jdbc.datasource.TransactionAwareDataSourceProxy;
import org.springframework.util.StringUtils;

/** Chooses the store from the properties and the application's beans. The last sentence of a failure is what to do. */
@Configuration(proxyBeanMethods = false)
class StoreChoice {

    /**
     * A store for which the application has its jar and a bean.
     *
     * @param factory makes the store, or answers {@code null} where there is not exactly one bean for it
     */
    record Candidate(Store kind, Supplier<@Nullable TokenStore> factory) {}

    /** Where nothing is chosen, the token resource takes memory, if no other store's jar is there. */
    static void apply(
            @Nullable Store asked, @Nullable String url, List<Candidate> candidates, TokenResource.Builder builder) {
        List<Candidate> meant = candidates.stream()
                .filter(each -> asked == null || asked == each.kind())
                .toList();
        String opened = asked == Store.MEMORY ? "memory:" : asked == null || asked == Store.URL ? url : null;
        if (StringUtils.hasText(opened)) {
            builder.url(opened);
        } else if (meant.size() > 1) {
            throw new TokenStoreException("The application has the means for several token stores: "
                    + meant.stream().map(Candidate::kind).sorted().toList()
                    + ". Set curfew.store to one of them, or set curfew.url");
        } else if (asked != null || !meant.isEmpty()) {
            TokenStore store = meant.isEmpty() ? null : meant.get(0).factory().get();
            if (store == null) {
                throw new TokenStoreException(
                        "The token store cannot be made: it needs its jar of Curfew and exactly one bean, a"
                                + " DataSource, a connection factory of Lettuce (not of Jedis), or a MongoDatabaseFactory. Add what"
                                + " is missing, mark one of several DataSource beans with @CurfewDataSource, or set curfew.url");
            }
            builder.store(store);
        }
    }

    /** A proxy that knows of transactions would lend the application's own connection, on which a check commits. */
    static DataSource plain(DataSource given) {
        DataSource target = given instanceof DelegatingDataSource proxy ? proxy.getTargetDataSource() : null;
        DataSource plain = target == null ? given : plain(target);
        return given instanceof TransactionAwareDataSourceProxy || plain != target ? plain : given;
    }

    @ConditionalOnClass({JdbcTokenStore.class, DelegatingDataSource.class})
    @ConditionalOnBean(DataSource.class)
    static class Jdbc {
        @Bean
        Candidate curfewJdbcCandidate(
                ObjectProvider<DataSource> all,
                @CurfewDataSource ObjectProvider<DataSource> marked,
                CurfewProperties properties) {
            return new Candidate(Store.JDBC, () -> {
                DataSource one = marked.getIfAvailable(all::getIfUnique);
                JdbcTokenStore store = one == null ? null : JdbcTokenStore.create(plain(one));
                if (store != null && properties.jdbc().initializeSchema() == Initialization.ALWAYS) {
                    store.createSchema(properties.domain());
                }
                return store;
            });
        }
    }

    @ConditionalOnClass({RedisTokenStore.class, LettuceConnectionFactory.class})
    @ConditionalOnBean(RedisConnectionFactory.class)
    static class Redis {
        @Bean
        Candidate curfewRedisCandidate(ObjectProvider<RedisConnectionFactory> all) {
            return new Candidate(
                    Store.REDIS,
                    () -> all.getIfUnique() instanceof LettuceConnectionFactory lettuce
                            ? lettuce.getRequiredNativeClient() instanceof RedisClusterClient cluster
                                    ? RedisTokenStore.create(cluster)
                                    : RedisTokenStore.create((RedisClient) lettuce.getRequiredNativeClient())
                            : null);
        }
    }

    @ConditionalOnClass({MongoTokenStore.class, MongoDatabaseFactory.class})
    @ConditionalOnBean(MongoDatabaseFactory.class)
    static class Mongo {
        @Bean
        Candidate curfewMongoCandidate(ObjectProvider<MongoDatabaseFactory> all) {
            return new Candidate(Store.MONGO, () -> {
                MongoDatabaseFactory one = all.getIfUnique();
                return one == null ? null : MongoTokenStore.create(one.getMongoDatabase());
            });
        }
    }
}
