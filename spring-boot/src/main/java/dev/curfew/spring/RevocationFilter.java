package dev.curfew.spring;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.oauth2.server.resource.web.BearerTokenResolver;
import org.springframework.web.filter.OncePerRequestFilter;

/**
 * Refuses a request whose bearer token is revoked. It stands behind the filter that authenticates, whose failure handler
 * answers for it.
 */
final class RevocationFilter extends OncePerRequestFilter {
    private final BearerTokens bearerTokens;
    private final BearerTokenResolver resolver;

    RevocationFilter(BearerTokens bearerTokens, BearerTokenResolver resolver) {
        this.bearerTokens = bearerTokens;
        this.resolver = resolver;
    }

    boolean isLogout(HttpServletRequest request) {
        return bearerTokens.ends(request.getMethod(), path(request)) != null;
    }

    static String path(HttpServletRequest request) {
        return request.getRequestURI().substring(request.getContextPath().length());
    }

    @Override
    protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws ServletException, IOException {
        Authentication authentication = SecurityContextHolder.getContext().getAuthentication();
        MappedToken token =
                authentication == null ? null : bearerTokens.read(authentication, resolver.resolve(request));
        int status =
                token == null ? BearerTokens.ACCEPTED : bearerTokens.answer(token, request.getMethod(), path(request));
        if (status == BearerTokens.ACCEPTED) {
            chain.doFilter(request, response);
        } else {
            // Not by sendError: an error dispatch would pass the filters again, and end as a bare 401.
            bearerTokens.write(status, response::setStatus, response::setHeader);
        }
    }
}
