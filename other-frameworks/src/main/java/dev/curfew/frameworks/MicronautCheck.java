package dev.curfew.frameworks;

import dev.curfew.InvalidTokenException;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import io.micronaut.core.order.Ordered;
import io.micronaut.http.HttpRequest;
import io.micronaut.http.HttpStatus;
import io.micronaut.http.annotation.RequestFilter;
import io.micronaut.http.annotation.ServerFilter;
import io.micronaut.http.exceptions.HttpStatusException;
import io.micronaut.http.filter.ServerFilterPhase;
import io.micronaut.scheduling.TaskExecutors;
import io.micronaut.scheduling.annotation.ExecuteOn;
import io.micronaut.security.token.reader.TokenResolver;

@ServerFilter(ServerFilter.MATCH_ALL_PATTERN)
record MicronautCheck(TokenResource tokens, TokenResolver<HttpRequest<?>> resolver) implements Ordered {
    @Override
    public int getOrder() {
        return ServerFilterPhase.SECURITY.after();
    }

    @RequestFilter
    @ExecuteOn(TaskExecutors.BLOCKING) // off the event loop
    void check(HttpRequest<?> request) {
        if (request.getUserPrincipal().isPresent()) { // else nobody is logged in
            resolver.resolveTokens(request).forEach(this::check);
        }
    }

    private void check(String jwt) {
        try {
            switch (tokens.check(Token.peek(jwt))) {
                case ACTIVE -> {}
                case REVOKED, EXPIRED, UNKNOWN ->
                    throw new HttpStatusException(HttpStatus.UNAUTHORIZED, "log in again");
                case UNAVAILABLE -> throw new HttpStatusException(HttpStatus.SERVICE_UNAVAILABLE, "try again later");
            }
        } catch (InvalidTokenException e) { // such as a missing jti
            throw new HttpStatusException(HttpStatus.UNAUTHORIZED, "log in again");
        }
    }
}
