package dev.curfew.spring;

import jakarta.servlet.Filter;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.SmartInitializingSingleton;
import org.springframework.context.ApplicationContext;
import org.springframework.security.oauth2.server.resource.web.BearerTokenResolver;
import org.springframework.security.oauth2.server.resource.web.DefaultBearerTokenResolver;
import org.springframework.security.oauth2.server.resource.web.authentication.BearerTokenAuthenticationFilter;
import org.springframework.security.web.FilterChainProxy;
import org.springframework.security.web.SecurityFilterChain;

/** Makes the filters of a chain, and warns of chains without them. Filters are no beans: Boot would register those. */
final class ServletFilters implements SmartInitializingSingleton {
    private static final Logger LOG = LoggerFactory.getLogger(ServletFilters.class);

    private final BearerTokens bearerTokens;
    private final CurfewProperties properties;
    private final ApplicationContext context;

    ServletFilters(BearerTokens bearerTokens, CurfewProperties properties, ApplicationContext context) {
        this.bearerTokens = bearerTokens;
        this.properties = properties;
        this.context = context;
    }

    RevocationFilter revocation() {
        BearerTokenResolver resolver =
                context.getBeanProvider(BearerTokenResolver.class).getIfAvailable(DefaultBearerTokenResolver::new);
        return new RevocationFilter(bearerTokens, resolver, properties.security());
    }

    LogoutWithTokenFilter logout(RevocationFilter revocation) {
        return new LogoutWithTokenFilter(bearerTokens, revocation, properties.logout(), this::chains);
    }

    private List<SecurityFilterChain> chains() {
        return context.getBeanProvider(FilterChainProxy.class)
                .orderedStream()
                .flatMap(proxy -> proxy.getFilterChains().stream())
                .toList();
    }

    @Override
    public void afterSingletonsInstantiated() {
        for (SecurityFilterChain chain : chains()) {
            List<Filter> filters = chain.getFilters();
            if (filters.stream().anyMatch(BearerTokenAuthenticationFilter.class::isInstance)
                    && filters.stream().noneMatch(RevocationFilter.class::isInstance)) {
                LOG.warn(
                        "A security filter chain takes bearer tokens and does not ask Curfew: revoked tokens pass it."
                                + " Build the chain from the HttpSecurity bean that Spring injects. The chain: {}",
                        chain);
            }
        }
    }
}
