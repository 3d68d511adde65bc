package dev.curfew.spring;

import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpHeaders;
import org.springframework.http.server.reactive.ServerHttpRequest;
import org.springframework.http.server.reactive.ServerHttpResponse;
import org.springframework.security.core.AuthenticationException;
import org.springframework.security.core.context.ReactiveSecurityContextHolder;
import org.springframework.security.core.context.SecurityContext;
import org.springframework.security.oauth2.server.resource.authentication.BearerTokenAuthenticationToken;
import org.springframework.security.web.server.authentication.ServerAuthenticationConverter;
import org.springframework.web.server.ServerWebExchange;
import org.springframework.web.server.WebFilter;
import org.springframework.web.server.WebFilterChain;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/**
 * As {@link RevocationFilter}, for reactive requests; it also answers the log-out. The store is asked on
 * {@code boundedElastic}, never on an event loop. The local replica is asked on the event loop, since it never waits.
 */
record RevocationWebFilter(
        BearerTokens bearerTokens, @Nullable ServerAuthenticationConverter converter) implements WebFilter {
    private static final String SCHEME = "Bearer ";
    private static final String PARAMETER = "access_token";

    @Override
    public Mono<Void> filter(ServerWebExchange exchange, WebFilterChain chain) {
        ServerHttpRequest request = exchange.getRequest();
        String path = request.getPath().pathWithinApplication().value();
        return ReactiveSecurityContextHolder.getContext()
                .mapNotNull(SecurityContext::getAuthentication)
                .flatMap(authentication -> bearer(exchange)
                        .defaultIfEmpty("")
                        .mapNotNull(bearer -> bearerTokens.read(authentication, bearer.isEmpty() ? null : bearer)))
                .flatMap(token -> status(token, request.getMethod().name(), path))
                .defaultIfEmpty(BearerTokens.ACCEPTED)
                .flatMap(status -> status == BearerTokens.ACCEPTED
                        ? chain.filter(exchange)
                        : answer(exchange.getResponse(), status));
    }

    private Mono<Integer> status(MappedToken token, String method, String path) {
        return Mono.justOrEmpty(bearerTokens.answerLocally(token, method, path))
                .switchIfEmpty(Mono.fromCallable(() -> bearerTokens.answer(token, method, path))
                        .subscribeOn(Schedulers.boundedElastic()));
    }

    /** By the application's converter, if it is a bean; else where RFC 6750 section 2 has it. */
    private Mono<String> bearer(ServerWebExchange exchange) {
        ServerHttpRequest request = exchange.getRequest();
        String header = request.getHeaders().getFirst(HttpHeaders.AUTHORIZATION);
        Mono<String> usual = header != null && header.regionMatches(true, 0, SCHEME, 0, SCHEME.length())
                ? Mono.just(header.substring(SCHEME.length()))
                : Mono.justOrEmpty(request.getQueryParams().getFirst(PARAMETER));
        return converter == null
                ? usual
                : converter
                        .convert(exchange)
                        .onErrorComplete(AuthenticationException.class)
                        .ofType(BearerTokenAuthenticationToken.class)
                        .map(BearerTokenAuthenticationToken::getToken)
                        .switchIfEmpty(usual);
    }

    private Mono<Void> answer(ServerHttpResponse response, int status) {
        bearerTokens.write(status, response::setRawStatusCode, response.getHeaders()::set);
        return response.setComplete();
    }
}
