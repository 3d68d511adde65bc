package dev.curfew.spring;

import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
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
    private record Logout(BearerTokens bearerTokens, RevocationFilter revocation, ApplicationContext context)
            implements Filter {
        @Override
        public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain)
                throws ServletException, IOException {
            var http = (HttpServletRequest) request;
            if (bearerTokens.isLogout(http.getMethod(), RevocationFilter.path(http))) {
                authentication()
                        .doFilter(
                                request,
                                response,
                                (q, s) -> revocation.doFilterInternal(http, (HttpServletResponse) response, chain));
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
