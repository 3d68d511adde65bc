package dev.curfew.spring;

import dev.curfew.TokenResource;
import java.util.List;
import java.util.function.Function;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.SmartInitializingSingleton;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.security.authentication.ott.OneTimeTokenService;
import org.springframework.security.authentication.ott.reactive.ReactiveOneTimeTokenService;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.web.server.SecurityWebFiltersOrder;
import org.springframework.security.config.web.server.ServerHttpSecurity;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.server.authorization.InMemoryOAuth2AuthorizationService;
import org.springframework.security.oauth2.server.authorization.OAuth2AuthorizationService;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClientRepository;
import org.springframework.security.oauth2.server.resource.BearerTokenError;
import org.springframework.security.oauth2.server.resource.web.authentication.BearerTokenAuthenticationFilter;
import org.springframework.security.oauth2.server.resource.web.server.authentication.ServerBearerTokenAuthenticationConverter;
import org.springframework.security.web.FilterChainProxy;
import org.springframework.security.web.server.SecurityWebFilterChain;
import org.springframework.security.web.server.authentication.AuthenticationWebFilter;

/** Spring Security: bearer tokens and the log-out, one-time tokens, and Spring Authorization Server. */
@Configuration(proxyBeanMethods = false)
class CurfewSecurity {

    @Configuration(proxyBeanMethods = false) // so that its own nested classes are looked at
    @ConditionalOnClass(BearerTokenError.class)
    @ConditionalOnProperty(name = "curfew.security.enabled", matchIfMissing = true)
    static class Bearer {
        @Bean
        BearerTokens curfewBearerTokens(TokenResource tokens, JwtTokenMapper mapper, CurfewProperties properties) {
            return new BearerTokens(tokens, mapper, properties);
        }

        /** The filters themselves come by {@link CurfewHttpConfigurer}. */
        @ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.SERVLET)
        @ConditionalOnClass({HttpSecurity.class, BearerTokenAuthenticationFilter.class})
        static class ServletBearer {
            @Bean
            @ConditionalOnProperty("curfew.logout.back-channel-path")
            BackChannelLogoutFilter curfewBackChannelLogoutFilter(
                    TokenResource tokens,
                    CurfewProperties properties,
                    @Qualifier("curfewLogoutTokenDecoder") ObjectProvider<JwtDecoder> own,
                    ObjectProvider<JwtDecoder> decoders) {
                return new BackChannelLogoutFilter(tokens, properties, own.getIfAvailable(decoders::getObject));
            }

            @Bean
            SmartInitializingSingleton curfewUncoveredChains(ObjectProvider<FilterChainProxy> proxies) {
                return () -> proxies.stream()
                        .flatMap(proxy -> proxy.getFilterChains().stream())
                        .forEach(chain -> warnUnlessCovered(
                                chain,
                                chain.getFilters(),
                                BearerTokenAuthenticationFilter.class,
                                RevocationFilter.class));
            }
        }

        @ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.REACTIVE)
        @ConditionalOnClass(ServerHttpSecurity.class)
        static class ReactiveBearer {
            /** Every chain is built of a ServerHttpSecurity of its own, which Spring Security makes for each injection. */
            @Bean
            static BeanPostProcessor curfewServerHttpSecurityPostProcessor(
                    ObjectProvider<BearerTokens> bearerTokens,
                    ObjectProvider<ServerBearerTokenAuthenticationConverter> converters) {
                return decorating(
                        ServerHttpSecurity.class,
                        http -> http.addFilterAfter(
                                new RevocationWebFilter(
                                        bearerTokens.getObject(),
                                        converters.stream().toList()),
                                SecurityWebFiltersOrder.AUTHENTICATION));
            }

            /** A filter does not tell whether it reads bearer tokens or something else. */
            @Bean
            SmartInitializingSingleton curfewUncoveredChains(ObjectProvider<SecurityWebFilterChain> chains) {
                return () -> chains.forEach(chain -> warnUnlessCovered(
                        chain,
                        chain.getWebFilters().toStream().toList(),
                        AuthenticationWebFilter.class,
                        RevocationWebFilter.class));
            }
        }

        private static void warnUnlessCovered(
                Object chain, List<?> filters, Class<?> authentication, Class<?> revocation) {
            if (filters.stream().anyMatch(authentication::isInstance)
                    && filters.stream().noneMatch(revocation::isInstance)) {
                LoggerFactory.getLogger(CurfewSecurity.class)
                        .warn(
                                "A security filter chain does not ask Curfew: where it takes bearer tokens, revoked ones"
                                        + " pass it. Build the chain from the HttpSecurity or ServerHttpSecurity bean that"
                                        + " Spring injects. The chain: {}",
                                chain);
            }
        }
    }

    /** Off by default, since it changes how users log in. */
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
