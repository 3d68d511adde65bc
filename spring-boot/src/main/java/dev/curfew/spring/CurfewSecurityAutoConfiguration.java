package dev.curfew.spring;

import dev.curfew.TokenResource;
import jakarta.servlet.Filter;
import java.util.function.Function;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.SmartInitializingSingleton;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.AutoConfigureOrder;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.Ordered;
import org.springframework.security.authentication.ott.OneTimeTokenService;
import org.springframework.security.authentication.ott.reactive.ReactiveOneTimeTokenService;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.web.server.SecurityWebFiltersOrder;
import org.springframework.security.config.web.server.ServerHttpSecurity;
import org.springframework.security.oauth2.server.authorization.InMemoryOAuth2AuthorizationService;
import org.springframework.security.oauth2.server.authorization.OAuth2AuthorizationService;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClientRepository;
import org.springframework.security.oauth2.server.resource.BearerTokenError;
import org.springframework.security.oauth2.server.resource.web.authentication.BearerTokenAuthenticationFilter;
import org.springframework.security.web.SecurityFilterChain;

/** Spring Security: bearer tokens and the log-out, one-time tokens, and Spring Authorization Server. */
@AutoConfiguration(after = CurfewAutoConfiguration.class)
@AutoConfigureOrder(Ordered.LOWEST_PRECEDENCE) // after those of Boot, whose names moved
@ConditionalOnBean(TokenResource.class)
class CurfewSecurityAutoConfiguration {

    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(BearerTokenError.class)
    @ConditionalOnProperty(name = "curfew.security.enabled", matchIfMissing = true)
    static class Bearer {
        @Bean
        BearerTokens curfewBearerTokens(TokenResource tokens, JwtTokenMapper mapper, CurfewProperties properties) {
            return new BearerTokens(tokens, mapper, properties);
        }

        /** The filters themselves come by {@link CurfewHttpConfigurer}. */
        @Configuration(proxyBeanMethods = false)
        @ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.SERVLET)
        @ConditionalOnClass({HttpSecurity.class, BearerTokenAuthenticationFilter.class})
        static class ServletBearer {
            @Bean
            SmartInitializingSingleton curfewUncoveredChains(ApplicationContext context) {
                return () -> CurfewHttpConfigurer.chains(context).stream()
                        .filter(chain -> has(chain, BearerTokenAuthenticationFilter.class))
                        .filter(chain -> !has(chain, RevocationFilter.class))
                        .forEach(chain -> LoggerFactory.getLogger(CurfewHttpConfigurer.class)
                                .warn(
                                        "A security filter chain takes bearer tokens and does not ask Curfew: revoked tokens"
                                                + " pass it. Build the chain from the HttpSecurity bean that Spring injects."
                                                + " The chain: {}",
                                        chain));
            }

            private static boolean has(SecurityFilterChain chain, Class<? extends Filter> filter) {
                return chain.getFilters().stream().anyMatch(filter::isInstance);
            }
        }

        @Configuration(proxyBeanMethods = false)
        @ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.REACTIVE)
        @ConditionalOnClass(ServerHttpSecurity.class)
        static class ReactiveBearer {
            /** Every chain is built of a ServerHttpSecurity of its own, which Spring Security makes for each injection. */
            @Bean
            static BeanPostProcessor curfewServerHttpSecurityPostProcessor(ObjectProvider<BearerTokens> bearerTokens) {
                return decorating(
                        ServerHttpSecurity.class,
                        http -> http.addFilterAfter(
                                new RevocationWebFilter(bearerTokens.getObject()),
                                SecurityWebFiltersOrder.AUTHENTICATION));
            }
        }
    }

    /** Off by default, since it changes how users log in. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(OneTimeTokenService.class)
    @ConditionalOnProperty("curfew.one-time-token.enabled")
    static class OneTimeTokens {
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

    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(OAuth2AuthorizationService.class)
    @ConditionalOnBean(RegisteredClientRepository.class)
    @ConditionalOnProperty(name = "curfew.authorization-server.enabled", matchIfMissing = true)
    static class AuthorizationServer {
        /** Where there is no such bean, Spring makes one that nobody can decorate. */
        @Bean
        @ConditionalOnMissingBean
        OAuth2AuthorizationService curfewAuthorizationService() {
            return new InMemoryOAuth2AuthorizationService();
        }

        @Bean
        static BeanPostProcessor curfewAuthorizationServicePostProcessor(
                ObjectProvider<TokenResource> tokens, ObjectProvider<JwtTokenMapper> mapper) {
            return decorating(
                    OAuth2AuthorizationService.class,
                    service -> new CurfewAuthorizationService(service, tokens.getObject(), mapper.getObject()));
        }
    }

    private static <T> BeanPostProcessor decorating(Class<T> type, Function<T, Object> decorator) {
        return new BeanPostProcessor() {
            @Override
            public Object postProcessAfterInitialization(Object bean, String beanName) {
                return type.isInstance(bean) ? decorator.apply(type.cast(bean)) : bean;
            }
        };
    }
}
