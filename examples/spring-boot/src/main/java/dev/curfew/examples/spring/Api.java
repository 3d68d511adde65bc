package dev.curfew.examples.spring;

import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.springframework.http.ResponseEntity;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;

/** What takes a token. */
@RestController
@RequestMapping("/api")
class Api {
    private final TokenResource tokens;

    Api(TokenResource tokens) {
        this.tokens = tokens;
    }

    @GetMapping("/me")
    Map<String, String> me(@AuthenticationPrincipal Jwt jwt) {
        return Map.of("user", jwt.getSubject());
    }

    /** Where the user is signed in: a session for each device. */
    @GetMapping("/devices")
    List<Map<String, Object>> devices(@AuthenticationPrincipal Jwt jwt) {
        return sessions(jwt)
                .map(record -> Map.<String, Object>of(
                        "session", record.session(),
                        "device", record.extraData().get("device"),
                        "since", record.createdAt().toString(),
                        "isThis", record.session().equals(jwt.getClaimAsString("sid"))))
                .toList();
    }

    /** The session comes from a browser, so only one of this user is ended. */
    @PostMapping("/devices/log-out")
    ResponseEntity<Void> logOut(@AuthenticationPrincipal Jwt jwt, @RequestBody Map<String, String> body) {
        String session = body.get("session");
        if (sessions(jwt).noneMatch(record -> record.session().equals(session))) {
            return ResponseEntity.notFound().build();
        }
        tokens.revokeSession(session);
        return ResponseEntity.noContent().build();
    }

    /** Each has one refresh token that was not used yet. */
    private Stream<TokenRecord> sessions(Jwt jwt) {
        return tokens.listTokens(jwt.getSubject(), 1_000).stream()
                .filter(record -> record.purpose().equals(SignIn.REFRESH));
    }
}
