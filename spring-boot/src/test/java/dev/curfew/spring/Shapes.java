package dev.curfew.spring;

import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.core.annotation.Order;
import org.springframework.security.authentication.TestingAuthenticationToken;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.authority.AuthorityUtils;
import org.springframework.security.oauth2.core.DefaultOAuth2AuthenticatedPrincipal;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.server.resource.authentication.JwtAuthenticationProvider;
import org.springframework.security.oauth2.server.resource.authentication.JwtIssuerAuthenticationManagerResolver;
import org.springframework.security.oauth2.server.resource.introspection.BadOpaqueTokenException;
import org.springframework.security.oauth2.server.resource.introspection.OpaqueTokenIntrospector;
import org.springframework.security.oauth2.server.resource.web.authentication.BearerTokenAuthenticationFilter;
import org.springframework.security.web.DefaultSecurityFilterChain;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.servlet.util.matcher.PathPatternRequestMatcher;

/** The ways in which applications have their bearer tokens verified. */
final class Shapes {
    private Shapes() {}

    @Configuration(proxyBeanMethods = false)
    @Import(ResourceServer.class)
    static class OwnDecoder {
        @Bean
        JwtDecoder jwtDecoder() {
            return Jwts.decoder();
        }
    }

    @Configuration(proxyBeanMethods = false)
    @Import(ResourceServer.class)
    static class InlineDecoder {
        @Bean
        SecurityFilterChain chain(HttpSecurity http) throws Exception {
            return http.authorizeHttpRequests(any -> any.anyRequest().authenticated())
                    .oauth2ResourceServer(server -> server.jwt(jwt -> jwt.decoder(Jwts.decoder())))
                    .build();
        }
    }

    @Configuration(proxyBeanMethods = false)
    @Import(ResourceServer.class)
    static class IssuerResolver {
        @Bean
        SecurityFilterChain chain(HttpSecurity http) throws Exception {
            var provider = new JwtAuthenticationProvider(Jwts.decoder());
            return http.authorizeHttpRequests(any -> any.anyRequest().authenticated())
                    .oauth2ResourceServer(server -> server.authenticationManagerResolver(
                            new JwtIssuerAuthenticationManagerResolver(issuer -> provider::authenticate)))
                    .build();
        }
    }

    /** A token that begins with "opaque-" is Ada's. After a dot it has the session. */
    @Configuration(proxyBeanMethods = false)
    @Import(ResourceServer.class)
    static class OpaqueTokens {
        @Bean
        OpaqueTokenIntrospector introspector() {
            return token -> {
                if (!token.startsWith("opaque-")) {
                    throw new BadOpaqueTokenException("unknown");
                }
                Instant now = Instant.now();
                Map<String, Object> attributes =
                        new HashMap<>(Map.of("sub", "ada", "iat", now.minusSeconds(60), "exp", now.plusSeconds(3600)));
                if (token.indexOf('.') >= 0) {
                    attributes.put("sid", token.substring(token.indexOf('.') + 1));
                }
                return new DefaultOAuth2AuthenticatedPrincipal("ada", attributes, AuthorityUtils.NO_AUTHORITIES);
            };
        }

        @Bean
        SecurityFilterChain chain(HttpSecurity http) throws Exception {
            return http.authorizeHttpRequests(any -> any.anyRequest().authenticated())
                    .oauth2ResourceServer(server -> server.opaqueToken(Customizer.withDefaults()))
                    .build();
        }
    }

    @Configuration(proxyBeanMethods = false)
    @Import(ResourceServer.class)
    static class OwnAuthentication {
        @Bean
        SecurityFilterChain chain(HttpSecurity http) throws Exception {
            return http.authorizeHttpRequests(any -> any.anyRequest().authenticated())
                    .oauth2ResourceServer(server -> server.jwt(jwt -> jwt.decoder(Jwts.decoder())
                            .jwtAuthenticationConverter(verified ->
                                    new TestingAuthenticationToken(verified.getSubject(), null, List.of()))))
                    .build();
        }
    }

    /** A chain that is not built by the bean of Spring Security. */
    @Configuration(proxyBeanMethods = false)
    @Import(InlineDecoder.class)
    static class Uncovered {
        @Bean
        @Order(1)
        SecurityFilterChain uncoveredChain() {
            var provider = new JwtAuthenticationProvider(Jwts.decoder());
            return new DefaultSecurityFilterChain(
                    PathPatternRequestMatcher.withDefaults().matcher("/hello"),
                    new BearerTokenAuthenticationFilter(provider::authenticate));
        }
    }
}
