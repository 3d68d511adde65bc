package dev.curfew.spring;

import dev.curfew.TokenResource;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.context.annotation.Bean;
import org.springframework.security.oauth2.server.authorization.InMemoryOAuth2AuthorizationService;
import org.springframework.security.oauth2.server.authorization.OAuth2AuthorizationService;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClientRepository;

/** Spring Authorization Server: what it revokes is revoked at the resource servers. */
@AutoConfiguration(
        after = CurfewAutoConfiguration.class,
        afterName = {
            "org.springframework.boot.autoconfigure.security.oauth2.server.servlet"
                    + ".OAuth2AuthorizationServerAutoConfiguration",
            "org.springframework.boot.security.oauth2.server.authorization.autoconfigure.servlet"
                    + ".OAuth2AuthorizationServerAutoConfiguration"
        })
@ConditionalOnClass(OAuth2AuthorizationService.class)
@ConditionalOnBean({TokenResource.class, RegisteredClientRepository.class})
@ConditionalOnProperty(name = "curfew.authorization-server.enabled", matchIfMissing = true)
class CurfewAuthorizationServerAutoConfiguration {

    /** Where there is no such bean, Spring makes one that nobody can decorate. */
    @Bean
    @ConditionalOnMissingBean
    OAuth2AuthorizationService curfewAuthorizationService() {
        return new InMemoryOAuth2AuthorizationService();
    }

    @Bean
    static BeanPostProcessor curfewAuthorizationServicePostProcessor(
            ObjectProvider<TokenResource> tokens, ObjectProvider<JwtTokenMapper> mapper) {
        return new BeanPostProcessor() {
            @Override
            public Object postProcessAfterInitialization(Object bean, String beanName) {
                return bean instanceof OAuth2AuthorizationService service
                        ? new CurfewAuthorizationService(service, tokens.getObject(), mapper.getObject())
                        : bean;
            }
        };
    }
}
