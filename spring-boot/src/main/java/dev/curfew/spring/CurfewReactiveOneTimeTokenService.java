package dev.curfew.spring;

import dev.curfew.TokenResource;
import org.springframework.security.authentication.ott.GenerateOneTimeTokenRequest;
import org.springframework.security.authentication.ott.OneTimeToken;
import org.springframework.security.authentication.ott.OneTimeTokenAuthenticationToken;
import org.springframework.security.authentication.ott.reactive.ReactiveOneTimeTokenService;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** As {@link CurfewOneTimeTokenService}, for reactive applications. The store is asked on {@code boundedElastic}. */
public final class CurfewReactiveOneTimeTokenService implements ReactiveOneTimeTokenService {
    private final CurfewOneTimeTokenService service;

    /** Keeps one-time tokens in a token resource. */
    public CurfewReactiveOneTimeTokenService(TokenResource tokens) {
        service = new CurfewOneTimeTokenService(tokens);
    }

    @Override
    public Mono<OneTimeToken> generate(GenerateOneTimeTokenRequest request) {
        return Mono.fromCallable(() -> service.generate(request)).subscribeOn(Schedulers.boundedElastic());
    }

    @Override
    public Mono<OneTimeToken> consume(OneTimeTokenAuthenticationToken request) {
        return Mono.<OneTimeToken>fromCallable(() -> service.consume(request)).subscribeOn(Schedulers.boundedElastic());
    }
}
