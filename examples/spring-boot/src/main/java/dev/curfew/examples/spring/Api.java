package dev.curfew.examples.spring;

import dev.curfew.RevokeOutcome;
import dev.curfew.TokenResource;
import java.util.List;
import java.util.Map;
import org.springframework.http.HttpStatus;
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

    /** Where the user is signed in. */
    @GetMapping("/devices")
    List<Map<String, Object>> devices(@AuthenticationPrincipal Jwt jwt) {
        return tokens.listTokens(jwt.getSubject()).stream()
                .filter(record -> record.extraData() != null)
                .map(record -> Map.<String, Object>of(
                        "id", record.jti(),
                        "device", record.extraData().get("device"),
                        "since", record.createdAt().toString(),
                        "isThis", record.jti().equals(jwt.getId())))
                .toList();
    }

    /** The id comes from a browser, so only a token that is stored for this user is revoked. */
    @PostMapping("/devices/log-out")
    ResponseEntity<Void> logOut(@AuthenticationPrincipal Jwt jwt, @RequestBody Map<String, String> body) {
        RevokeOutcome outcome = tokens.revokeStoredForSubject(jwt.getSubject(), body.get("id"));
        return ResponseEntity.status(outcome == RevokeOutcome.UNKNOWN ? HttpStatus.NOT_FOUND : HttpStatus.NO_CONTENT)
                .build();
    }
}
