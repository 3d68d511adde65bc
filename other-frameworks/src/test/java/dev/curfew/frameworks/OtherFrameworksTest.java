package dev.curfew.frameworks;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.auth0.jwt.JWT;
import com.auth0.jwt.algorithms.Algorithm;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.MACSigner;
import com.nimbusds.jose.jwk.source.ImmutableSecret;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import dev.curfew.RevokeOutcome;
import dev.curfew.Token;
import dev.curfew.TokenAction;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import io.jsonwebtoken.Jwts;
import io.jsonwebtoken.security.Keys;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.UUID;
import java.util.function.ToIntFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jose4j.jwt.consumer.JwtConsumerBuilder;
import org.jose4j.keys.HmacKey;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The page's snippets are the sources of this module, and those of the JOSE libraries are run. */
class OtherFrameworksTest {
    private static final byte[] KEY = "a key of this test, 32 bytes or more".getBytes(UTF_8);

    private final TokenResource tokens = resource(false);

    @AfterEach
    void close() {
        tokens.close();
    }

    @Test
    void everySnippetIsASource() throws IOException {
        Matcher block = Pattern.compile("```(?:java|kotlin)\n(.*?)```", Pattern.DOTALL)
                .matcher(Files.readString(Path.of("../docs/other-frameworks.md")));
        List<String> snippets = new ArrayList<>();
        while (block.find()) {
            snippets.add(block.group(1));
        }
        List<String> sources = new ArrayList<>();
        try (Stream<Path> files = Files.walk(Path.of("src/main"))) {
            for (Path file : files.filter(f -> f.toString().matches(".*Check\\.(java|kt)"))
                    .toList()) {
                // The page leaves out what an editor writes: the package and the imports.
                sources.add(Files.readString(file).replaceFirst("(?s)^package .*\nimport [^\n]*\n\n", ""));
            }
        }
        assertThat(snippets).hasSize(8).containsExactlyInAnyOrderElementsOf(sources);
    }

    @ParameterizedTest
    @MethodSource("libraries")
    void aTokenIsAcceptedUntilItIsRevoked(Library library) throws Exception {
        ToIntFunction<String> check = library.over(tokens);
        String jwt = signed(KEY, UUID.randomUUID().toString());
        String other = signed(KEY, UUID.randomUUID().toString());

        assertThat(check.applyAsInt(jwt)).isEqualTo(200);
        assertThat(tokens.revokeToken(Token.peek(jwt))).isEqualTo(RevokeOutcome.REVOKED);
        assertThat(check.applyAsInt(jwt)).isEqualTo(401);
        assertThat(check.applyAsInt(other)).isEqualTo(200);
    }

    @ParameterizedTest
    @MethodSource("libraries")
    void whatIsNoTokenOfOursIsRefused(Library library) throws Exception {
        ToIntFunction<String> check = library.over(tokens);

        assertThat(check.applyAsInt(signed("another key, of 32 bytes or more".getBytes(UTF_8), "jti-1")))
                .isEqualTo(401);
        assertThat(check.applyAsInt(signed(KEY, null))).as("without a jti").isEqualTo(401);
        assertThat(check.applyAsInt("")).isEqualTo(401);
        assertThat(check.applyAsInt("a.b.c")).isEqualTo(401);
    }

    @ParameterizedTest
    @MethodSource("libraries")
    void aStoreThatIsDownIsNoLogOut(Library library) throws Exception {
        try (TokenResource down = resource(true)) {
            assertThat(library.over(down).applyAsInt(signed(KEY, "jti-1"))).isEqualTo(503);
        }
    }

    private interface Library {
        ToIntFunction<String> over(TokenResource tokens);
    }

    static Stream<Named<Library>> libraries() {
        var nimbus = new DefaultJWTProcessor<SecurityContext>();
        nimbus.setJWSKeySelector(new JWSVerificationKeySelector<>(JWSAlgorithm.HS256, new ImmutableSecret<>(KEY)));
        var jose4j = new JwtConsumerBuilder()
                .setRequireExpirationTime()
                .setVerificationKey(new HmacKey(KEY))
                .build();
        var auth0 = JWT.require(Algorithm.HMAC256(KEY)).build();
        var jjwt = Jwts.parser().verifyWith(Keys.hmacShaKeyFor(KEY)).build();
        return Stream.of(
                Named.of("Nimbus", tokens -> new NimbusCheck(nimbus, tokens)::status),
                Named.of("jose4j", tokens -> new Jose4jCheck(jose4j, tokens)::status),
                Named.of("java-jwt", tokens -> new Auth0Check(auth0, tokens)::status),
                Named.of("jjwt", tokens -> new JjwtCheck(jjwt, tokens)::status));
    }

    private static String signed(byte[] key, @Nullable String jti) throws Exception {
        Instant now = Instant.now();
        var claims = new JWTClaimsSet.Builder()
                .jwtID(jti)
                .subject("ada")
                .issueTime(Date.from(now))
                .expirationTime(Date.from(now.plusSeconds(600)))
                .build();
        var jwt = new SignedJWT(new JWSHeader(JWSAlgorithm.HS256), claims);
        jwt.sign(new MACSigner(key));
        return jwt.serialize();
    }

    private static TokenResource resource(boolean down) {
        TokenResource.Builder builder = TokenResource.builder().url("memory:").maxTokenLifetime(Duration.ofHours(1));
        return down
                ? builder.intercept(TokenAction.CHECK, (call, next) -> TokenStatus.UNAVAILABLE)
                        .build()
                : builder.build();
    }
}
