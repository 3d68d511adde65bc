package dev.curfew.spring;

import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.List;
import org.springframework.context.ApplicationContext;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.config.annotation.web.configurers.oauth2.server.resource.OAuth2ResourceServerConfigurer;
import org.springframework.security.oauth2.server.resource.web.BearerTokenResolver;
import org.springframework.security.oauth2.server.resource.web.DefaultBearerTokenResolver;
import org.springframework.security.oauth2.server.resource.web.authentication.BearerTokenAuthenticationFilter;
import org.springframework.security.web.FilterChainProxy;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.authentication.AuthenticationFilter;
import org.springframework.security.web.authentication.logout.LogoutFilter;
import org.springframework.web.filter.OncePerRequestFilter;

/**
 * Adds Curfew's filters to every chain of the application that takes bearer tokens. Spring Security applies it to each
 * {@code HttpSecurity} bean, since {@code META-INF/spring.factories} names it.
 */
final class CurfewHttpConfigurer extends AbstractHttpConfigurer<CurfewHttpConfigurer, HttpSecurity> {

    @Override
    @SuppressWarnings("unchecked") // the class object of a generic configurer is of its raw type
    public void configure(HttpSecurity http) {
        ApplicationContext context = http.getSharedObject(ApplicationContext.class);
        BearerTokens bearerTokens = context.getBeanProvider(BearerTokens.class).getIfAvailable();
        if (bearerTokens != null && http.getConfigurer(OAuth2ResourceServerConfigurer.class) != null) {
            var revocation = new RevocationFilter(
                    bearerTokens,
                    context.getBeanProvider(BearerTokenResolver.class).getIfAvailable(DefaultBearerTokenResolver::new));
            http.addFilterAfter(revocation, AuthenticationFilter.class);
            http.addFilterBefore(new Logout(bearerTokens, revocation, context), LogoutFilter.class);
        }
    }

    static List<SecurityFilterChain> chains(ApplicationContext context) {
        return context.getBeanProvider(FilterChainProxy.class)
                .orderedStream()
                .flatMap(proxy -> proxy.getFilterChains().stream())
                .toList();
    }

    /**
     * Lets the chain's own filter authenticate a log-out, which also answers where the token is not valid. It stands before
     * Spring's logout filter, which runs before bearer tokens are read.
     */
    private static final class Logout extends OncePerRequestFilter {
        private final BearerTokens bearerTokens;
        private final RevocationFilter revocation;
        private final ApplicationContext context;

        Logout(BearerTokens bearerTokens, RevocationFilter revocation, ApplicationContext context) {
            this.bearerTokens = bearerTokens;
            this.revocation = revocation;
            this.context = context;
        }

        @Override
        protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
                throws ServletException, IOException {
            if (bearerTokens.isLogout(request.getMethod(), RevocationFilter.path(request))) {
                authentication()
                        .doFilter(request, response, (q, s) -> revocation.doFilterInternal(request, response, chain));
            } else {
                chain.doFilter(request, response);
            }
        }

        private Filter authentication() {
            return chains(context).stream()
                    .map(SecurityFilterChain::getFilters)
                    .filter(filters -> filters.contains(this))
                    .flatMap(List::stream)
                    .filter(BearerTokenAuthenticationFilter.class::isInstance)
                    .findFirst()
                    .orElse((request, response, chain) -> chain.doFilter(request, response));
        }
    }
}
