package dev.curfew.spring;

import java.util.List;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpMethod;
import org.springframework.http.server.reactive.ServerHttpRequest;
import org.springframework.http.server.reactive.ServerHttpResponse;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.AuthenticationException;
import org.springframework.security.core.context.ReactiveSecurityContextHolder;
import org.springframework.security.core.context.SecurityContext;
import org.springframework.security.oauth2.server.resource.authentication.BearerTokenAuthenticationToken;
import org.springframework.security.oauth2.server.resource.web.server.authentication.ServerBearerTokenAuthenticationConverter;
import org.springframework.web.server.ServerWebExchange;
import org.springframework.web.server.WebFilter;
import org.springframework.web.server.WebFilterChain;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/**
 * As {@link RevocationFilter}, for reactive requests; it also answers the log-out. The store is asked on
 * {@code boundedElastic}, never on an event loop. The local replica is asked on the event loop, since it never waits.
 */
record RevocationWebFilter(BearerTokens bearerTokens, List<ServerBearerTokenAuthenticationConverter> converters)
        implements WebFilter {
    private static final String SCHEME = "Bearer ";
    private static final String PARAMETER = "access_token";

    @Override
    public Mono<Void> filter(ServerWebExchange exchange, WebFilterChain chain) {
        String method = exchange.getRequest().getMethod().name();
        String path = exchange.getRequest().getPath().pathWithinApplication().value();
        return ReactiveSecurityContextHolder.getContext()
                .mapNotNull(SecurityContext::getAuthentication)
                .flatMapMany(authentication -> tokens(authentication, exchange))
                .concatMap(token -> status(token, method, path))
                .filter(status -> status != BearerTokens.ACCEPTED)
                .next()
                .defaultIfEmpty(BearerTokens.ACCEPTED)
                .flatMap(status -> status == BearerTokens.ACCEPTED
                        ? chain.filter(exchange)
                        : answer(exchange.getResponse(), status));
    }

    /**
     * The token of the authentication. Else every token of the request, since this filter cannot tell which of them the
     * authentication was made of.
     */
    private Flux<MappedToken> tokens(Authentication authentication, ServerWebExchange exchange) {
        if (BearerTokens.hasToken(authentication)) {
            return Flux.just(authentication).mapNotNull(carrier -> bearerTokens.read(carrier, null));
        }
        return Flux.concat(List.of(usual(exchange.getRequest()), converted(exchange)))
                .distinct()
                .mapNotNull(text -> bearerTokens.read(authentication, text));
    }

    /** Where RFC 6750 section 2 has it; as a parameter only where it logs nobody out. */
    private static Mono<String> usual(ServerHttpRequest request) {
        String header = request.getHeaders().getFirst(HttpHeaders.AUTHORIZATION);
        if (header != null && header.regionMatches(true, 0, SCHEME, 0, SCHEME.length())) {
            return Mono.just(header.substring(SCHEME.length()));
        }
        return HttpMethod.GET.equals(request.getMethod())
                ? Mono.justOrEmpty(request.getQueryParams().getFirst(PARAMETER))
                : Mono.empty();
    }

    private Flux<String> converted(ServerWebExchange exchange) {
        return Flux.fromIterable(converters)
                .concatMap(converter -> converter.convert(exchange).onErrorComplete(AuthenticationException.class))
                .ofType(BearerTokenAuthenticationToken.class)
                .map(BearerTokenAuthenticationToken::getToken);
    }

    private Mono<Integer> status(MappedToken token, String method, String path) {
        return Mono.justOrEmpty(bearerTokens.answerLocally(token, method, path))
                .switchIfEmpty(Mono.fromCallable(() -> bearerTokens.answer(token, method, path))
                        .subscribeOn(Schedulers.boundedElastic()));
    }

    private Mono<Void> answer(ServerHttpResponse response, int status) {
        bearerTokens.write(status, response::setRawStatusCode, response.getHeaders()::set);
        return response.setComplete();
    }
}
