package dev.curfew.spring;

import dev.curfew.TokenResource;
import org.springframework.boot.actuate.autoconfigure.endpoint.condition.ConditionalOnAvailableEndpoint;
import org.springframework.boot.actuate.endpoint.annotation.Endpoint;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** Health, and the endpoint {@code curfew}. */
@AutoConfiguration(after = CurfewAutoConfiguration.class)
@ConditionalOnBean(TokenResource.class)
class CurfewActuatorAutoConfiguration {

    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass({Endpoint.class, ConditionalOnAvailableEndpoint.class})
    static class Endpoints {
        @Bean
        @ConditionalOnMissingBean
        @ConditionalOnAvailableEndpoint
        CurfewEndpoint curfewEndpoint(TokenResource tokens, CurfewProperties properties) {
            return new CurfewEndpoint(tokens, properties);
        }
    }

    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(name = "org.springframework.boot.health.contributor.AbstractHealthIndicator")
    @ConditionalOnProperty(name = "management.health.curfew.enabled", matchIfMissing = true)
    static class HealthOfBoot4 {
        @Bean
        @ConditionalOnMissingBean(name = "curfewHealthIndicator")
        StoreHealth curfewHealthIndicator(TokenResource tokens) {
            return new StoreHealth(tokens);
        }
    }

    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(name = "org.springframework.boot.actuate.health.AbstractHealthIndicator")
    @ConditionalOnProperty(name = "management.health.curfew.enabled", matchIfMissing = true)
    static class HealthOfBoot3 {
        @Bean
        @ConditionalOnMissingBean(name = "curfewHealthIndicator")
        StoreHealthOfBoot3 curfewHealthIndicator(TokenResource tokens) {
            return new StoreHealthOfBoot3(tokens);
        }
    }
}
