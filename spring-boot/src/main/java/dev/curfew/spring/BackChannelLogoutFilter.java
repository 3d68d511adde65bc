package dev.curfew.spring;

import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.Map;
import java.util.Objects;
import org.springframework.core.Ordered;
import org.springframework.security.oauth2.jwt.BadJwtException;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtException;

/**
 * Ends the session that an identity provider names in a logout token, or all tokens of its subject (OpenID Connect
 * Back-Channel Logout 1.0 section 2.6). The signature, the issuer, the audience and the times are the decoder's affair.
 *
 * <p>Boot puts it before Spring Security: the logout token is the proof, and there is neither a bearer token nor a cookie.
 */
record BackChannelLogoutFilter(TokenResource tokens, CurfewProperties properties, JwtDecoder decoder)
        implements Filter, Ordered {
    private static final String EVENT = "http://schemas.openid.net/event/backchannel-logout";

    @Override
    public int getOrder() {
        return -101; // that of Spring Security's filters is -100
    }

    @Override
    public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain)
            throws ServletException, IOException {
        var http = (HttpServletRequest) request;
        String path = RevocationFilter.path(http);
        // A path that is not set is empty, as is that of the context's root.
        if (!path.isEmpty()
                && http.getMethod().equals("POST")
                && path.equals(properties.logout().backChannelPath())) {
            answer(http, (HttpServletResponse) response);
        } else {
            chain.doFilter(request, response);
        }
    }

    private void answer(HttpServletRequest request, HttpServletResponse response) throws IOException {
        response.setHeader("Cache-Control", "no-store");
        try {
            String token = Objects.requireNonNullElse(request.getParameter("logout_token"), "");
            end(decoder.decode(token).getClaims());
        } catch (BadJwtException | IllegalArgumentException e) {
            response.setStatus(400);
            response.setContentType("application/json");
            response.getWriter().print("{\"error\":\"invalid_request\"}");
        } catch (JwtException | TokenStoreException e) {
            // Also where the keys of the issuer cannot be read.
            response.setStatus(properties.security().unavailableStatus());
            response.setHeader(
                    "Retry-After", "" + properties.security().retryAfter().toSeconds());
        }
    }

    /** Another token of the same issuer has no such event, or it has a nonce. */
    private void end(Map<String, Object> claims) {
        boolean isLogout = claims.get("events") instanceof Map<?, ?> events && events.get(EVENT) instanceof Map;
        Object ended = claims.getOrDefault("sid", claims.get(properties.jwt().subjectClaim()));
        if (!isLogout || claims.get("iat") == null || claims.containsKey("nonce") || !(ended instanceof String name)) {
            throw new BadJwtException("This is no logout token");
        }
        String tenant = properties.jwt().tenant(claims.get("iss"));
        TokenResource resource = tenant.isEmpty() ? tokens : tokens.forTenant(tenant);
        if (claims.containsKey("sid")) {
            resource.revokeSession(name);
        } else {
            resource.revokeSubject(name);
        }
    }
}
