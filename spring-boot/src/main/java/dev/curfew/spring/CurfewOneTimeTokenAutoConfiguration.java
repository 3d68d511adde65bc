package dev.curfew.spring;

import dev.curfew.TokenResource;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.authentication.ott.OneTimeTokenService;
import org.springframework.security.authentication.ott.reactive.ReactiveOneTimeTokenService;

/** One-time tokens of Spring Security; off by default, since it changes how users log in. */
@AutoConfiguration(after = CurfewAutoConfiguration.class)
@ConditionalOnClass(OneTimeTokenService.class)
@ConditionalOnBean(TokenResource.class)
@ConditionalOnProperty("curfew.one-time-token.enabled")
class CurfewOneTimeTokenAutoConfiguration {
    @Bean
    @ConditionalOnMissingBean
    @ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.SERVLET)
    OneTimeTokenService curfewOneTimeTokenService(TokenResource tokens) {
        return new CurfewOneTimeTokenService(tokens);
    }

    @Bean
    @ConditionalOnMissingBean
    @ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.REACTIVE)
    ReactiveOneTimeTokenService curfewReactiveOneTimeTokenService(TokenResource tokens) {
        return new CurfewReactiveOneTimeTokenService(tokens);
    }
}
