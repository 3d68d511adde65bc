package dev.curfew.spring;

import dev.curfew.spring.BearerTokens.Verdict;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpHeaders;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.oauth2.server.resource.web.BearerTokenResolver;
import org.springframework.web.filter.OncePerRequestFilter;

/**
 * Refuses a request whose bearer token is revoked. It stands behind the filter that authenticates, whose failure handler
 * answers for it.
 */
class RevocationFilter extends OncePerRequestFilter {
    private final BearerTokens bearerTokens;
    private final BearerTokenResolver resolver;
    private final CurfewProperties.Security settings;

    RevocationFilter(BearerTokens bearerTokens, BearerTokenResolver resolver, CurfewProperties.Security settings) {
        this.bearerTokens = bearerTokens;
        this.resolver = resolver;
        this.settings = settings;
    }

    @Override
    protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws ServletException, IOException {
        MappedToken token = token(request);
        Verdict verdict = token == null ? Verdict.ACCEPTED : bearerTokens.check(token);
        if (verdict == Verdict.ACCEPTED) {
            chain.doFilter(request, response);
        } else {
            answer(verdict, response);
        }
    }

    @Nullable
    MappedToken token(HttpServletRequest request) {
        Authentication authentication = SecurityContextHolder.getContext().getAuthentication();
        return authentication == null ? null : bearerTokens.read(authentication, resolver.resolve(request));
    }

    /** By {@code setStatus}: an error dispatch would pass the filters again, and end as a bare 401. */
    void answer(Verdict verdict, HttpServletResponse response) {
        if (verdict == Verdict.UNAVAILABLE) {
            response.setStatus(settings.unavailableStatus());
            response.setHeader(
                    HttpHeaders.RETRY_AFTER, Long.toString(settings.retryAfter().toSeconds()));
        } else {
            response.setStatus(HttpServletResponse.SC_NO_CONTENT);
        }
    }
}
