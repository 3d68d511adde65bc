package dev.curfew.spring;

import dev.curfew.TokenResource;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.oauth2.server.resource.web.authentication.BearerTokenAuthenticationFilter;

/** The check of bearer tokens, and the log-out, in servlet applications. */
@AutoConfiguration(after = CurfewAutoConfiguration.class)
@ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.SERVLET)
@ConditionalOnClass({HttpSecurity.class, BearerTokenAuthenticationFilter.class})
@ConditionalOnBean(TokenResource.class)
@ConditionalOnProperty(name = "curfew.security.enabled", matchIfMissing = true)
class CurfewServletAutoConfiguration {
    @Bean
    ServletFilters curfewServletFilters(
            TokenResource tokens, JwtTokenMapper mapper, CurfewProperties properties, ApplicationContext context) {
        return new ServletFilters(new BearerTokens(tokens, mapper), properties, context);
    }
}
