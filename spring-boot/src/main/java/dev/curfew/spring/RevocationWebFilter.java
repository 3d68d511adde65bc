package dev.curfew.spring;

import dev.curfew.spring.BearerTokens.Verdict;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpMethod;
import org.springframework.http.HttpStatus;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.server.reactive.ServerHttpResponse;
import org.springframework.security.core.context.ReactiveSecurityContextHolder;
import org.springframework.security.web.server.util.matcher.PathPatternParserServerWebExchangeMatcher;
import org.springframework.security.web.server.util.matcher.ServerWebExchangeMatcher;
import org.springframework.security.web.server.util.matcher.ServerWebExchangeMatcher.MatchResult;
import org.springframework.security.web.server.util.matcher.ServerWebExchangeMatchers;
import org.springframework.web.server.ServerWebExchange;
import org.springframework.web.server.WebFilter;
import org.springframework.web.server.WebFilterChain;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/**
 * Refuses a reactive request whose bearer token is revoked, and answers the log-out. It stands behind the filter that
 * authenticates, whose failure handler answers for it. The store is asked on {@code boundedElastic}, never on an event
 * loop.
 */
final class RevocationWebFilter implements WebFilter {
    private static final String SCHEME = "Bearer ";

    private final BearerTokens bearerTokens;
    private final CurfewProperties.Security settings;
    private final ServerWebExchangeMatcher here;
    private final ServerWebExchangeMatcher everywhere;

    RevocationWebFilter(BearerTokens bearerTokens, CurfewProperties properties) {
        this.bearerTokens = bearerTokens;
        this.settings = properties.security();
        this.here = post(properties.logout().path());
        this.everywhere = post(properties.logout().everywherePath());
    }

    private static ServerWebExchangeMatcher post(String path) {
        return path.isEmpty()
                ? exchange -> MatchResult.notMatch()
                : ServerWebExchangeMatchers.matchers(
                        new PathPatternParserServerWebExchangeMatcher(path, HttpMethod.POST));
    }

    @Override
    public Mono<Void> filter(ServerWebExchange exchange, WebFilterChain chain) {
        return ReactiveSecurityContextHolder.getContext()
                .mapNotNull(context -> context.getAuthentication())
                .mapNotNull(authentication -> bearerTokens.read(authentication, bearer(exchange)))
                .flatMap(token -> verdict(exchange, token))
                .defaultIfEmpty(Verdict.ACCEPTED)
                .flatMap(verdict ->
                        verdict == Verdict.ACCEPTED ? chain.filter(exchange) : answer(verdict, exchange.getResponse()));
    }

    private static @Nullable String bearer(ServerWebExchange exchange) {
        String header = exchange.getRequest().getHeaders().getFirst(HttpHeaders.AUTHORIZATION);
        return header != null && header.regionMatches(true, 0, SCHEME, 0, SCHEME.length())
                ? header.substring(SCHEME.length())
                : null;
    }

    private Mono<Verdict> verdict(ServerWebExchange exchange, MappedToken token) {
        return everywhere
                .matches(exchange)
                .flatMap(isEverywhere -> here.matches(exchange)
                        .flatMap(isHere -> asked(
                                isEverywhere.isMatch() || isHere.isMatch()
                                        ? () -> bearerTokens.logOut(token, isEverywhere.isMatch())
                                        : () -> bearerTokens.check(token))));
    }

    private static Mono<Verdict> asked(Callable<Verdict> call) {
        return Mono.fromCallable(call).subscribeOn(Schedulers.boundedElastic());
    }

    private Mono<Void> answer(Verdict verdict, ServerHttpResponse response) {
        if (verdict == Verdict.UNAVAILABLE) {
            response.setStatusCode(HttpStatusCode.valueOf(settings.unavailableStatus()));
            response.getHeaders()
                    .set(
                            HttpHeaders.RETRY_AFTER,
                            Long.toString(settings.retryAfter().toSeconds()));
        } else {
            response.setStatusCode(HttpStatus.NO_CONTENT);
        }
        return response.setComplete();
    }
}
