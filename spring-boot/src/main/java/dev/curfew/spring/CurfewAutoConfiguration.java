package dev.curfew.spring;

import com.mongodb.client.MongoDatabase;
import dev.curfew.TokenResource;
import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.jdbc.JdbcTokenStore;
import dev.curfew.micrometer.CurfewMetrics;
import dev.curfew.mongo.MongoTokenStore;
import dev.curfew.redis.RedisTokenStore;
import dev.curfew.spring.CurfewProperties.Initialization;
import dev.curfew.spring.CurfewProperties.Store;
import dev.curfew.spring.StoreChoice.Candidate;
import io.lettuce.core.AbstractRedisClient;
import io.lettuce.core.RedisClient;
import io.lettuce.core.cluster.RedisClusterClient;
import io.micrometer.core.instrument.MeterRegistry;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.aot.hint.RuntimeHints;
import org.springframework.aot.hint.RuntimeHintsRegistrar;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.actuate.autoconfigure.endpoint.condition.ConditionalOnAvailableEndpoint;
import org.springframework.boot.actuate.endpoint.annotation.Endpoint;
import org.springframework.boot.actuate.health.HealthIndicator;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.sql.init.dependency.DependsOnDatabaseInitialization;
import org.springframework.context.ApplicationEventPublisher;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.ImportRuntimeHints;
import org.springframework.core.env.Environment;
import org.springframework.data.mongodb.MongoDatabaseFactory;
import org.springframework.data.redis.connection.RedisConnectionFactory;
import org.springframework.data.redis.connection.lettuce.LettuceConnectionFactory;
import org.springframework.jdbc.datasource.DelegatingDataSource;
import org.springframework.jdbc.datasource.TransactionAwareDataSourceProxy;

/** A {@link TokenResource} from the properties {@code curfew.*} and the application's own data source or client. */
@AutoConfiguration(
        afterName = {
            "org.springframework.boot.actuate.autoconfigure.metrics.CompositeMeterRegistryAutoConfiguration",
            "org.springframework.boot.micrometer.metrics.autoconfigure.CompositeMeterRegistryAutoConfiguration"
        })
@EnableConfigurationProperties(CurfewProperties.class)
@ImportRuntimeHints(CurfewAutoConfiguration.Hints.class)
public class CurfewAutoConfiguration {

    /** The token resource. It is closed with the other beans, after the web server has answered its last request. */
    @Bean(destroyMethod = "close")
    @ConditionalOnMissingBean
    @DependsOnDatabaseInitialization
    TokenResource curfewTokenResource(
            CurfewProperties properties,
            StoreChoice choice,
            ObjectProvider<TokenStore> stores,
            ObjectProvider<TokenResourceBuilderCustomizer> customizers,
            ApplicationEventPublisher events) {
        TokenResource.Builder builder = TokenResource.builder()
                .domain(properties.domain())
                .clockSkew(properties.clockSkew())
                .issuerSkew(properties.issuerSkew())
                .failurePolicy(properties.failurePolicy())
                .callDeadline(properties.callDeadline())
                .expungeInterval(properties.expunge().interval())
                .expungeBatchSize(properties.expunge().batchSize())
                .onRevocation(events::publishEvent);
        if (properties.maxTokenLifetime() != null) {
            builder.maxTokenLifetime(properties.maxTokenLifetime());
        }
        if (properties.requirePresence()) {
            builder.requirePresence();
        }
        TokenStore own = stores.getIfAvailable();
        if (own == null) {
            choice.applyTo(builder);
        } else {
            builder.store(own);
        }
        customizers.orderedStream().forEach(each -> each.customize(builder));
        return builder.build();
    }

    @Bean
    StoreChoice curfewStoreChoice(
            CurfewProperties properties, Environment environment, ObjectProvider<Candidate> candidates) {
        // The names of the core, by which an application without Spring names its store.
        String url = properties.url() == null ? environment.getProperty("curfew.store.url") : properties.url();
        return new StoreChoice(
                properties.store(), url, candidates.orderedStream().toList());
    }

    @Bean
    @ConditionalOnMissingBean
    JwtTokenMapper curfewJwtTokenMapper(CurfewProperties properties) {
        return new ClaimsTokenMapper(properties.jwt());
    }

    /** The store in the application's data source. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass({JdbcTokenStore.class, TransactionAwareDataSourceProxy.class})
    static class JdbcStore {
        @Bean
        Candidate curfewJdbcCandidate(
                CurfewProperties properties,
                @CurfewDataSource ObjectProvider<DataSource> marked,
                ObjectProvider<DataSource> all) {
            DataSource one = marked.getIfAvailable(all::getIfUnique);
            return Candidate.of(
                    Store.JDBC,
                    all.stream().findAny().isPresent(),
                    one,
                    dataSource -> store(plain(dataSource), properties),
                    "a DataSource, which @CurfewDataSource may mark");
        }

        private static TokenStore store(DataSource dataSource, CurfewProperties properties) {
            JdbcTokenStore store = JdbcTokenStore.create(dataSource);
            if (properties.jdbc().initializeSchema() == Initialization.ALWAYS) {
                store.createSchema(properties.domain());
            }
            return store;
        }

        /** A proxy that knows of transactions would lend the application's own connection, on which a check commits. */
        static DataSource plain(DataSource given) {
            DataSource plain = given;
            DataSource each = given;
            while (each instanceof DelegatingDataSource proxy && proxy.getTargetDataSource() != null) {
                each = proxy.getTargetDataSource();
                plain = proxy instanceof TransactionAwareDataSourceProxy ? each : plain;
            }
            return plain;
        }
    }

    /** The store in the application's Redis. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass({RedisTokenStore.class, LettuceConnectionFactory.class})
    static class RedisStore {
        @Bean
        Candidate curfewRedisCandidate(ObjectProvider<RedisConnectionFactory> factories) {
            RedisConnectionFactory one = factories.getIfUnique();
            return Candidate.of(
                    Store.REDIS,
                    factories.stream().findAny().isPresent(),
                    one instanceof LettuceConnectionFactory lettuce ? lettuce : null,
                    lettuce -> store(lettuce.getRequiredNativeClient()),
                    "a connection factory of Lettuce, not of Jedis");
        }

        private static TokenStore store(AbstractRedisClient client) {
            return client instanceof RedisClusterClient cluster
                    ? RedisTokenStore.create(cluster)
                    : RedisTokenStore.create((RedisClient) client);
        }
    }

    /** The store in the application's MongoDB. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass({MongoTokenStore.class, MongoDatabaseFactory.class, MongoDatabase.class})
    static class MongoStore {
        @Bean
        Candidate curfewMongoCandidate(ObjectProvider<MongoDatabaseFactory> factories) {
            return Candidate.of(
                    Store.MONGO,
                    factories.stream().findAny().isPresent(),
                    factories.getIfUnique(),
                    factory -> MongoTokenStore.create(factory.getMongoDatabase()),
                    "a MongoDatabaseFactory");
        }
    }

    /** Metrics, where there is a registry for them. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass({CurfewMetrics.class, MeterRegistry.class})
    @ConditionalOnBean(MeterRegistry.class)
    static class Metrics {
        @Bean
        @ConditionalOnMissingBean
        CurfewMetrics curfewMetrics() {
            return new CurfewMetrics();
        }

        @Bean
        TokenResourceBuilderCustomizer curfewMetricsCustomizer(CurfewMetrics metrics) {
            return builder -> builder.onOutcome(metrics);
        }
    }

    /** The actuator endpoint. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass({Endpoint.class, ConditionalOnAvailableEndpoint.class})
    static class Actuator {
        @Bean
        @ConditionalOnMissingBean
        @ConditionalOnAvailableEndpoint
        CurfewEndpoint curfewEndpoint(TokenResource tokens, CurfewProperties properties) {
            return new CurfewEndpoint(tokens, properties);
        }
    }

    /** Health. The classes of Boot 3.5 moved to another package in Boot 4. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(name = "org.springframework.boot.health.contributor.HealthIndicator")
    @ConditionalOnProperty(name = "management.health.curfew.enabled", matchIfMissing = true)
    static class Health {
        @Bean
        org.springframework.boot.health.contributor.HealthIndicator curfewHealthIndicator(TokenResource tokens) {
            return () -> answers(tokens)
                    ? org.springframework.boot.health.contributor.Health.up().build()
                    : org.springframework.boot.health.contributor.Health.down().build();
        }

        /** A look-up throws under every failure policy, where a check would not. */
        static boolean answers(TokenResource tokens) {
            try {
                tokens.inspect("curfew-health");
                return true;
            } catch (TokenStoreException e) {
                return false;
            }
        }
    }

    /** Health, for Boot 3.5. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(HealthIndicator.class)
    @ConditionalOnProperty(name = "management.health.curfew.enabled", matchIfMissing = true)
    static class HealthOfBoot3 {
        @Bean
        HealthIndicator curfewHealthIndicator(TokenResource tokens) {
            return () -> Health.answers(tokens)
                    ? org.springframework.boot.actuate.health.Health.up().build()
                    : org.springframework.boot.actuate.health.Health.down().build();
        }
    }

    /** The files that the stores read by name, for native images. */
    static final class Hints implements RuntimeHintsRegistrar {
        @Override
        public void registerHints(RuntimeHints hints, @Nullable ClassLoader classLoader) {
            hints.resources().registerPattern("META-INF/curfew/*");
            hints.resources().registerPattern("META-INF/services/dev.curfew.TokenStoreProvider");
        }
    }
}
