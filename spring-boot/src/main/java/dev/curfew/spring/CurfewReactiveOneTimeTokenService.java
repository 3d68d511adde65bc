package dev.curfew.spring;

import dev.curfew.TokenResource;
import org.springframework.security.authentication.ott.GenerateOneTimeTokenRequest;
import org.springframework.security.authentication.ott.OneTimeToken;
import org.springframework.security.authentication.ott.OneTimeTokenAuthenticationToken;
import org.springframework.security.authentication.ott.reactive.ReactiveOneTimeTokenService;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/**
 * As {@link CurfewOneTimeTokenService}, for reactive applications. The store is asked on {@code boundedElastic}.
 *
 * @param tokens keeps the one-time tokens
 */
public record CurfewReactiveOneTimeTokenService(TokenResource tokens) implements ReactiveOneTimeTokenService {

    @Override
    public Mono<OneTimeToken> generate(GenerateOneTimeTokenRequest request) {
        return Mono.fromCallable(() -> new CurfewOneTimeTokenService(tokens).generate(request))
                .subscribeOn(Schedulers.boundedElastic());
    }

    @Override
    public Mono<OneTimeToken> consume(OneTimeTokenAuthenticationToken request) {
        return Mono.<OneTimeToken>fromCallable(() -> new CurfewOneTimeTokenService(tokens).consume(request))
                .subscribeOn(Schedulers.boundedElastic());
    }
}
