package dev.curfew.spring;

import dev.curfew.TokenResource;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.config.web.server.SecurityWebFiltersOrder;
import org.springframework.security.config.web.server.ServerHttpSecurity;
import org.springframework.security.oauth2.server.resource.authentication.AbstractOAuth2TokenAuthenticationToken;

/** The check of bearer tokens, and the log-out, in reactive applications. */
@AutoConfiguration(after = CurfewAutoConfiguration.class)
@ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.REACTIVE)
@ConditionalOnClass({ServerHttpSecurity.class, AbstractOAuth2TokenAuthenticationToken.class})
@ConditionalOnBean(TokenResource.class)
@ConditionalOnProperty(name = "curfew.security.enabled", matchIfMissing = true)
class CurfewReactiveAutoConfiguration {

    /** Every chain is built of a ServerHttpSecurity of its own, which Spring Security makes for whoever asks. */
    @Bean
    static BeanPostProcessor curfewServerHttpSecurityPostProcessor(
            ObjectProvider<TokenResource> tokens,
            ObjectProvider<JwtTokenMapper> mapper,
            ObjectProvider<CurfewProperties> properties) {
        return new BeanPostProcessor() {
            @Override
            public Object postProcessAfterInitialization(Object bean, String beanName) {
                return bean instanceof ServerHttpSecurity http
                        ? http.addFilterAfter(
                                new RevocationWebFilter(
                                        new BearerTokens(tokens.getObject(), mapper.getObject()),
                                        properties.getObject()),
                                SecurityWebFiltersOrder.AUTHENTICATION)
                        : bean;
            }
        };
    }
}
