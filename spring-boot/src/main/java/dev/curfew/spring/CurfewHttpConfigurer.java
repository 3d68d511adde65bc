package dev.curfew.spring;

import org.springframework.context.ApplicationContext;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.config.annotation.web.configurers.oauth2.server.resource.OAuth2ResourceServerConfigurer;
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
        ServletFilters filters = context.getBeanProvider(ServletFilters.class).getIfAvailable();
        if (filters != null && http.getConfigurer(OAuth2ResourceServerConfigurer.class) != null) {
            RevocationFilter revocation = filters.revocation();
            http.addFilterAfter(revocation, AuthenticationFilter.class);
            http.addFilterBefore(filters.logout(revocation), LogoutFilter.class);
        }
    }
}
