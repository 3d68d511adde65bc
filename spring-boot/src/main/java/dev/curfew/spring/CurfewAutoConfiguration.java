package dev.curfew.spring;

import dev.curfew.TokenResource;
import dev.curfew.TokenStore;
import dev.curfew.micrometer.CurfewMetrics;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.MeterBinder;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.actuate.autoconfigure.endpoint.condition.ConditionalOnAvailableEndpoint;
import org.springframework.boot.actuate.health.HealthIndicator;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.AutoConfigureOrder;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.sql.init.dependency.DependsOnDatabaseInitialization;
import org.springframework.context.ApplicationEventPublisher;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Import;
import org.springframework.core.Ordered;
import org.springframework.core.env.Environment;

/**
 * A {@link TokenResource} from the properties {@code curfew.*} and the application's own data source or client. The nested
 * classes are configurations too, since they have beans.
 */
@AutoConfiguration
@AutoConfigureOrder(Ordered.LOWEST_PRECEDENCE) // after those of Boot, whose names moved
@EnableConfigurationProperties(CurfewProperties.class)
@Import({StoreChoice.class, CurfewSecurity.class})
public class CurfewAutoConfiguration {

    /** The token resource. It is closed with the other beans, after the web server has answered its last request. */
    @Bean(destroyMethod = "close")
    @ConditionalOnMissingBean
    @DependsOnDatabaseInitialization
    TokenResource curfewTokenResource(
            CurfewProperties properties,
            Environment environment,
            ObjectProvider<TokenStore> stores,
            ObjectProvider<StoreChoice.Candidate> candidates,
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
        properties.replica().apply(builder);
        if (stores.getIfAvailable() == null) {
            // The second is the name by which an application without Spring names its store.
            String url = properties.url() == null ? environment.getProperty("curfew.store.url") : properties.url();
            StoreChoice.apply(properties.store(), url, candidates.stream().toList(), builder);
        } else {
            builder.store(stores.getObject());
        }
        customizers.orderedStream().forEach(each -> each.customize(builder));
        return builder.build();
    }

    @Bean
    @ConditionalOnMissingBean
    JwtTokenMapper curfewJwtTokenMapper(CurfewProperties properties) {
        return new ClaimsTokenMapper(properties.jwt());
    }

    /** Metrics, where there is a registry for them. */
    @ConditionalOnClass({CurfewMetrics.class, MeterRegistry.class})
    @ConditionalOnBean(MeterRegistry.class)
    static class Metrics {
        @Bean
        TokenResourceBuilderCustomizer curfewMetricsCustomizer(MeterRegistry registry) {
            var metrics = new CurfewMetrics();
            metrics.bindTo(registry);
            return builder -> builder.onOutcome(metrics);
        }

        @Bean
        MeterBinder curfewReplicaMetrics(TokenResource tokens) {
            return CurfewMetrics.ofReplica(tokens);
        }
    }

    /** The actuator endpoint. */
    @ConditionalOnClass(ConditionalOnAvailableEndpoint.class)
    static class Actuator {
        @Bean
        @ConditionalOnAvailableEndpoint
        CurfewEndpoint curfewEndpoint(TokenResource tokens, CurfewProperties properties) {
            return new CurfewEndpoint(tokens, properties);
        }
    }

    /** Health. The classes of Boot 3.5 moved to another package in Boot 4. */
    @ConditionalOnClass(name = "org.springframework.boot.health.contributor.HealthIndicator")
    @ConditionalOnProperty(name = "management.health.curfew.enabled", matchIfMissing = true)
    static class Health {
        @Bean
        org.springframework.boot.health.contributor.HealthIndicator curfewHealthIndicator(TokenResource tokens) {
            return () -> {
                var health = new CheckHealth(tokens);
                return (health.isUp()
                                ? org.springframework.boot.health.contributor.Health.up()
                                : org.springframework.boot.health.contributor.Health.down())
                        .withDetails(health.details())
                        .build();
            };
        }
    }

    /** Health, for Boot 3.5. */
    @ConditionalOnClass(HealthIndicator.class)
    @ConditionalOnProperty(name = "management.health.curfew.enabled", matchIfMissing = true)
    static class HealthOfBoot3 {
        @Bean
        HealthIndicator curfewHealthIndicator(TokenResource tokens) {
            return () -> {
                var health = new CheckHealth(tokens);
                return (health.isUp()
                                ? org.springframework.boot.actuate.health.Health.up()
                                : org.springframework.boot.actuate.health.Health.down())
                        .withDetails(health.details())
                        .build();
            };
        }
    }
}
