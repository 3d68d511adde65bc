package dev.curfew.spring;

import jakarta.servlet.Filter;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import org.springframework.context.ApplicationContext;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.config.annotation.web.configurers.oauth2.server.resource.OAuth2ResourceServerConfigurer;
import org.springframework.security.oauth2.server.resource.web.BearerTokenResolver;
import org.springframework.security.oauth2.server.resource.web.DefaultBearerTokenResolver;
import org.springframework.security.oauth2.server.resource.web.authentication.BearerTokenAuthenticationFilter;
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
            http.addFilterBefore(logout(http, revocation), LogoutFilter.class);
        }
    }

    /**
     * Lets the chain's own filter authenticate a log-out, which also answers where the token is not valid. It stands before
     * Spring's logout filter, which runs before bearer tokens are read.
     */
    private static Filter logout(HttpSecurity security, RevocationFilter revocation) {
        return (request, response, chain) -> {
            var http = (HttpServletRequest) request;
            if (!revocation.isLogout(http)) {
                chain.doFilter(request, response);
                return;
            }
            Filter authentication = security.getObject().getFilters().stream()
                    .filter(BearerTokenAuthenticationFilter.class::isInstance)
                    .findFirst()
                    .orElse((q, s, rest) -> rest.doFilter(q, s));
            authentication.doFilter(
                    request,
                    response,
                    (q, s) -> revocation.doFilterInternal(http, (HttpServletResponse) response, chain));
        };
    }
}
