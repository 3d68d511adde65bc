package dev.curfew.spring;

import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpMethod;
import org.springframework.security.oauth2.server.resource.web.authentication.BearerTokenAuthenticationFilter;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.servlet.util.matcher.PathPatternRequestMatcher;
import org.springframework.security.web.util.matcher.RequestMatcher;
import org.springframework.web.filter.OncePerRequestFilter;

/**
 * Answers {@code POST /logout} with a bearer token. It stands before Spring's own logout filter, which runs before bearer
 * tokens are read. So it lets the chain's own filter authenticate, which also answers where the token is not valid.
 */
class LogoutWithTokenFilter extends OncePerRequestFilter {
    private final BearerTokens bearerTokens;
    private final RevocationFilter revocation;
    private final Supplier<List<SecurityFilterChain>> chains;
    private final @Nullable RequestMatcher here;
    private final @Nullable RequestMatcher everywhere;

    LogoutWithTokenFilter(
            BearerTokens bearerTokens,
            RevocationFilter revocation,
            CurfewProperties.Logout paths,
            Supplier<List<SecurityFilterChain>> chains) {
        this.bearerTokens = bearerTokens;
        this.revocation = revocation;
        this.chains = chains;
        this.here = post(paths.path());
        this.everywhere = post(paths.everywherePath());
    }

    private static @Nullable RequestMatcher post(String path) {
        return path.isEmpty() ? null : PathPatternRequestMatcher.withDefaults().matcher(HttpMethod.POST, path);
    }

    @Override
    protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws ServletException, IOException {
        boolean isEverywhere = everywhere != null && everywhere.matches(request);
        Filter authentication = isEverywhere || (here != null && here.matches(request)) ? authenticationFilter() : null;
        if (authentication == null) {
            chain.doFilter(request, response);
            return;
        }
        authentication.doFilter(request, response, (passedRequest, passedResponse) -> {
            MappedToken token = revocation.token(request);
            if (token == null) {
                chain.doFilter(request, response);
            } else {
                revocation.answer(bearerTokens.logOut(token, isEverywhere), response);
            }
        });
    }

    /** That of the chain in which this filter stands. */
    private @Nullable Filter authenticationFilter() {
        return chains.get().stream()
                .map(SecurityFilterChain::getFilters)
                .filter(filters -> filters.contains(this))
                .flatMap(List::stream)
                .filter(BearerTokenAuthenticationFilter.class::isInstance)
                .findFirst()
                .orElse(null);
    }
}
