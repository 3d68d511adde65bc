package dev.curfew.frameworks;

import dev.curfew.InvalidTokenException;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import jakarta.annotation.Priority;
import jakarta.ws.rs.Priorities;
import jakarta.ws.rs.container.ContainerRequestContext;
import jakarta.ws.rs.container.ContainerRequestFilter;
import jakarta.ws.rs.core.HttpHeaders;
import jakarta.ws.rs.core.Response;
import org.jspecify.annotations.Nullable;

@Priority(Priorities.AUTHENTICATION + 1) // after the filter that verifies the signature
record JakartaRestCheck(TokenResource tokens) implements ContainerRequestFilter {
    @Override
    public void filter(ContainerRequestContext request) {
        if (request.getSecurityContext().getUserPrincipal() != null) { // else nobody is logged in
            int status = status(request.getHeaderString(HttpHeaders.AUTHORIZATION));
            if (status != 200) {
                request.abortWith(Response.status(status).build());
            }
        }
    }

    private int status(@Nullable String header) {
        try {
            return switch (tokens.check(Token.peek(header == null ? "" : header.replaceFirst("(?i)^Bearer +", "")))) {
                case ACTIVE -> 200;
                case REVOKED, EXPIRED, UNKNOWN -> 401;
                case UNAVAILABLE -> 503;
            };
        } catch (InvalidTokenException e) { // such as a missing jti
            return 401;
        }
    }
}
