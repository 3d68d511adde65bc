package dev.curfew;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.jr.ob.JSON;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class TokenTest {
    private static final Instant EXPIRY = Instant.parse("2031-01-01T00:00:00Z");

    static Stream<Map<String, Object>> samples() throws IOException {
        try (InputStream file = TokenTest.class.getResourceAsStream("/jwts.jsonl")) {
            List<Map<String, Object>> samples = new java.util.ArrayList<>();
            for (String line : new String(file.readAllBytes(), StandardCharsets.UTF_8).split("\n")) {
                if (!line.isBlank()) {
                    samples.add(JSON.std.mapFrom(line));
                }
            }
            assertThat(samples).hasSize(43);
            return samples.stream();
        }
    }

    /** Tokens as real issuers make them, and as attackers break them. */
    @ParameterizedTest
    @MethodSource("samples")
    void R9_4_peekReadsWhatIssuersMakeAndNamesWhatIsWrong(Map<String, Object> sample) {
        String compact = (String) sample.get("token");
        if (sample.containsKey("error")) {
            assertThatThrownBy(() -> Token.peek(compact))
                    .isInstanceOfSatisfying(
                            InvalidTokenException.class,
                            e -> assertThat(e.claim()).isEqualTo(sample.get("error")))
                    .hasNoCause();
        } else {
            Token token = Token.peek(compact);
            assertThat(token.jti()).isEqualTo(sample.get("jti"));
            assertThat(token.subject()).isEqualTo(sample.get("sub"));
            assertThat(token.expiresAt().toEpochMilli()).isEqualTo(((Number) sample.get("expMillis")).longValue());
            Number issuedAt = (Number) sample.get("iatMillis");
            assertThat(token.issuedAt())
                    .isEqualTo(issuedAt == null ? null : Instant.ofEpochMilli(issuedAt.longValue()));
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                // Numbers whose arithmetic would take hours, or all memory.
                "{'jti':'a','sub':'s','exp':1e-999999999}",
                "{'jti':'a','sub':'s','exp':1e999999999}",
                "{'jti':'a','sub':'s','exp':1e99999999999}",
                "{'jti':'a','sub':'s','exp':1E2147483648}",
                "{'jti':'a','sub':'s','exp':0E-2147483648}",
                "{'jti':'a','sub':'s','exp':253402300799.9999}",
                "{'jti':'a','sub':'s','exp':253402300800}",
                "{'jti':'a','sub':'s','exp':-1e300}",
                "{'jti':'a','sub':'s','exp':true}",
                "{'jti':'a','sub':'s','exp':[1]}",
                "{'jti':'a','sub':'s','exp':NaN}",
            })
    void R9_4_anExpiryThatIsNoTimeIsRefused(String payload) {
        assertThatThrownBy(() -> Token.peek(jwt(payload)))
                .isInstanceOfSatisfying(
                        InvalidTokenException.class, e -> assertThat(e.claim()).isIn("exp", "token"));
    }

    /** Whatever its size: it is the claim that is at fault, and not the token. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "1e400", "-1e400", "1e-999999999", "1e999999999", "1e99999999999", "1E2147483648", "0E-2147483648",
                "253402300800", "-1e300", "true", "[1]", "{}", "null", "'1'"
            })
    void R9_4_anExpiryThatIsNoTimeIsBlamedByName(String expiry) {
        assertBlamed("exp", jwt("{'jti':'a','sub':'s','exp':" + expiry + "}"));

        assertBlamed("exp", jwt("{'jti':'a','sub':'s','exp':" + "9".repeat(5000) + "}"));
        assertBlamed("iat", jwt("{'jti':'a','sub':'s','exp':1,'iat':" + expiry + "}"));
        // A number of no interest may be of any size.
        assertThat(Token.peek(jwt("{'jti':'a','sub':'s','n':" + expiry + ",'exp':1}"))
                        .expiresAt())
                .isEqualTo(Instant.ofEpochSecond(1));
    }

    private static void assertBlamed(String claim, String compact) {
        assertThatThrownBy(() -> Token.peek(compact))
                .isInstanceOfSatisfying(
                        InvalidTokenException.class, e -> assertThat(e.claim()).isEqualTo(claim))
                .hasNoCause();
    }

    @Test
    void R13_1_theSessionIsTheClaimSid() {
        String session = "08a5019c-17e1-4977-8f42-65a12843ea02";
        assertThat(Token.peek(jwt("{'jti':'a','sub':'s','exp':1,'sid':'" + session + "'}"))
                        .session())
                .isEqualTo(session);
        assertThat(Token.peek(jwt("{'jti':'a','sub':'s','exp':1}")).session()).isNull();
        for (String bad :
                List.of("1", "true", "null", "['x']", "{'x':1}", "''", "'" + "x".repeat(513) + "'", "'\\u0000'")) {
            assertBlamed("sid", jwt("{'jti':'a','sub':'s','exp':1,'sid':" + bad + "}"));
        }
        Token token = Token.withoutIssuedAt("a", "s", EXPIRY);
        assertThat(token.withSession("x".repeat(512)).session()).hasSize(512);
        assertThatThrownBy(() -> token.withSession(""))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("session");
    }

    /** All three parts are base64url without padding (RFC 7515 section 7.1), and nothing stands around them. */
    @Test
    void R9_4_aTokenWithAnythingAroundOrInItIsMalformed() {
        String good = jwt("{'jti':'a','sub':'s','exp':1}");
        String[] parts = good.split("\\.");
        assertThat(Token.peek(good).jti()).isEqualTo("a");
        for (String bad : List.of(
                "Bearer " + good,
                "bearer " + good,
                " " + good,
                good + " ",
                good + "\n",
                "\"" + good + "\"",
                "a b." + parts[1] + "." + parts[2],
                "a+b/." + parts[1] + "." + parts[2],
                "abcde." + parts[1] + "." + parts[2],
                parts[0] + "=." + parts[1] + "." + parts[2],
                parts[0] + "." + parts[1] + ".c2ln=",
                parts[0] + "." + parts[1] + ".c2+n",
                parts[0] + "." + parts[1] + ".c2l\u00e9",
                parts[0] + "." + parts[1] + ".c2ln.",
                parts[0] + "." + parts[1])) {
            assertBlamed("token", bad);
        }
    }

    /** So that it can be kept in a session that a container writes to disk. */
    @Test
    void aTokenCanBeSerialized() throws Exception {
        Token token = Token.of("t", "s", EXPIRY.minusSeconds(9), EXPIRY);
        var bytes = new java.io.ByteArrayOutputStream();
        try (var out = new java.io.ObjectOutputStream(bytes)) {
            out.writeObject(token);
        }
        try (var in = new java.io.ObjectInputStream(new java.io.ByteArrayInputStream(bytes.toByteArray()))) {
            assertThat(in.readObject()).isEqualTo(token);
        }
    }

    @Test
    void R9_4_aTimeOfIssueThatIsThereMustBeOne() {
        assertThatThrownBy(() -> Token.peek(jwt("{'jti':'a','sub':'s','exp':1924992000,'iat':'now'}")))
                .isInstanceOfSatisfying(
                        InvalidTokenException.class, e -> assertThat(e.claim()).isEqualTo("iat"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{'jti':'secret','sub':'secret','exp':'secret'}",
                "{'jti':'secret','sub':7,'exp':1}",
                "{'jti':'secret','secret'",
                "{'jti':'secret','jti':'secret'}"
            })
    void R9_2_whatIsWrongIsSaidWithoutQuotingTheToken(String payload) {
        assertThatThrownBy(() -> Token.peek(jwt(payload)))
                .isInstanceOf(InvalidTokenException.class)
                .hasNoCause()
                .hasMessageNotContaining("secret");
    }

    /** Else each name that nobody has used before would be interned, and kept, for as long as the table has room. */
    @Test
    void R9_4_theNamesOfAPayloadAreNotKept() throws IOException {
        String[] names = new String[2];
        for (int i = 0; i < names.length; i++) {
            try (JsonParser parser = JwtPayload.JSON.createParser("{\"a-name-of-a-stranger\": 1}")) {
                parser.nextToken();
                names[i] = parser.nextFieldName();
            }
        }
        assertThat(names[0]).isEqualTo(names[1]).isNotSameAs(names[1]);
    }

    @Test
    void R9_2_noTextOfOursShowsAJtiOrASubject() {
        assertThat(Token.withoutIssuedAt("secret", "secret", EXPIRY).toString()).doesNotContain("secret");
        var record = new TokenRecord(
                "secret",
                "secret",
                "p",
                null,
                EXPIRY,
                ExtraData.of(Map.of("secret", "secret")),
                EXPIRY,
                EXPIRY,
                EXPIRY,
                "secret",
                "secret");
        assertThat(record.toString()).doesNotContain("secret");
        assertThat(new Consumption.Consumed(record).toString()).doesNotContain("secret");
        assertThat(new StoredState(record, null, false).toString()).doesNotContain("secret");
        assertThat(new RevocationEvent(TokenAction.CONSUME, "d", "t", "secret", "secret", "secret", 1, EXPIRY)
                        .toString())
                .doesNotContain("secret");
        var scope = new StoreScope("d", "", java.time.Duration.ZERO, java.time.Duration.ofSeconds(1));
        assertThat(new ActionCall<>(TokenAction.INSPECT, "inspect", scope, "secret").toString())
                .doesNotContain("secret");
        Token token = Token.withoutIssuedAt("secret", "secret", EXPIRY).withSession("secret");
        Token next = Token.withoutIssuedAt("secret 2", "secret", EXPIRY).withSession("secret");
        assertThat(token.toString()).doesNotContain("secret");
        for (Object argument : new Object[] {
            new TokenAction.Storing(token, "p", ExtraData.of(Map.of("secret", "secret"))),
            new TokenAction.Lookup("secret", "secret", "p"),
            new TokenAction.JtiRevocation("secret", EXPIRY),
            new TokenAction.Check(token, "p", false),
            new TokenAction.Selection("secret", "secret", java.util.Set.of("p")),
            new TokenAction.Rotating(token, "p", next, ExtraData.of(Map.of("secret", "secret"))),
            new Rotation.Rotated(record, false),
            new Rotation.Reused(record),
            new TokenAction.Page("secret", 1, record)
        }) {
            assertThat(argument.toString()).doesNotContain("secret");
        }
    }

    @Test
    void R1_3_timesAreRoundedSoThatNothingEndsEarly() {
        Token token = Token.of("t", "s", EXPIRY.plusNanos(1_999_999), EXPIRY.plusNanos(1));
        assertThat(token.issuedAt()).isEqualTo(EXPIRY.plusMillis(1));
        assertThat(token.expiresAt()).isEqualTo(EXPIRY.plusMillis(1));
        assertThat(Token.withoutIssuedAt("t", "s", EXPIRY).expiresAt()).isEqualTo(EXPIRY);
    }

    @ParameterizedTest
    @ValueSource(strings = {"+10000-01-01T00:00:00Z", "9999-12-31T23:59:59.999000001Z", "-0001-12-31T23:59:59Z"})
    void R9_1_aTimeBeyondFourDigitYearsIsRefused(String instant) {
        assertThatThrownBy(() -> Token.withoutIssuedAt("t", "s", Instant.parse(instant)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("expiresAt");
    }

    @Test
    void R9_5_aTokenOfAnotherIssuerIsRefused() {
        String compact = jwt("{'iss':'https://a.example','jti':'a','sub':'s','exp':1924992000}");
        assertThat(Token.peek(compact, "https://a.example")).isEqualTo(Token.peek(compact));
        for (String other : List.of(
                jwt("{'iss':'https://a.example/','jti':'a','sub':'s','exp':1924992000}"),
                jwt("{'jti':'a','sub':'s','exp':1924992000}"))) {
            assertThatThrownBy(() -> Token.peek(other, "https://a.example"))
                    .isInstanceOf(InvalidTokenException.class)
                    .hasMessageContaining("iss")
                    .hasMessageNotContaining("a.example");
        }
        assertBlamed("iss", jwt("{'iss':1,'jti':'a','sub':'s','exp':1924992000}"));
    }

    @Test
    void R9_6_idAndSubjectAreReadFromTheClaimsThatTheCallerNames() {
        String compact = jwt(
                "{'iss':'https://a.example','uti':'a','oid':'s','sub':'other','iat':1893456000," + "'exp':1924992000}");
        PeekedJwt read = PeekedJwt.read(compact, "uti", "oid", false);
        assertThat(read.issuer()).isEqualTo("https://a.example");
        assertThat(read.token())
                .isEqualTo(Token.of(
                        "a", "s", Instant.ofEpochSecond(1_893_456_000L), Instant.ofEpochSecond(1_924_992_000L)));
        assertThat(read.toString()).doesNotContain("a.example").doesNotContain("jti");
        // One claim may be both.
        assertThat(PeekedJwt.read(compact, "oid", "oid", false).token().jti()).isEqualTo("s");
        assertThat(PeekedJwt.read(compact, "jti", "sub", true).token()).isEqualTo(Token.peekOrDigest(compact));
        assertThatThrownBy(() -> PeekedJwt.read(compact, "sid", "sub", false))
                .isInstanceOfSatisfying(
                        InvalidTokenException.class, e -> assertThat(e.claim()).isEqualTo("sid"));
        assertThatThrownBy(() -> PeekedJwt.read(compact, "uti", "upn", true))
                .isInstanceOfSatisfying(
                        InvalidTokenException.class, e -> assertThat(e.claim()).isEqualTo("upn"));
        assertThat(PeekedJwt.read(jwt("{'jti':'a','sub':'s','exp':1924992000}"), "jti", "sub", false)
                        .issuer())
                .isNull();
    }

    @Test
    void R15_1_aSecretIsKnownByItsHash() {
        Instant now = Instant.parse("2030-01-01T00:00:00Z");
        Token link = Token.ofSecret("abc", "s", now, now.plusSeconds(60));
        // SHA-256 of "abc" is the example of FIPS 180-4, here in base64url.
        assertThat(link.jti())
                .isEqualTo("ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0")
                .isEqualTo(Token.idOf("abc"));
        assertThat(link.issuedAt()).isEqualTo(now);
        assertThatThrownBy(() -> Token.idOf(""))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("secret");
        String secret = Token.newSecret();
        assertThat(secret).matches("[A-Za-z0-9_-]{43}").isNotEqualTo(Token.newSecret());
    }

    @Test
    void R15_2_aJwtWithoutAnIdIsKnownByItsHeaderAndPayload() {
        String compact = jwt("{'sub':'s','exp':1924992000}");
        String signed = compact.substring(0, compact.lastIndexOf('.'));
        assertBlamed("jti", compact);
        assertThat(Token.peekOrDigest(compact).jti()).isEqualTo(Token.idOf(signed));
        // The last character of a signature may have bits that mean nothing: it verifies, and is the same token.
        assertThat(Token.peekOrDigest(signed + ".AB")).isEqualTo(Token.peekOrDigest(signed + ".AA"));
        assertThat(Token.peekOrDigest(jwt("{'jti':'a','sub':'s','exp':1924992000}"))
                        .jti())
                .isEqualTo("a");
    }

    private static String jwt(String payload) {
        return "eyJhbGciOiJIUzI1NiJ9."
                + Base64.getUrlEncoder()
                        .withoutPadding()
                        .encodeToString(payload.replace('\'', '"').getBytes(StandardCharsets.UTF_8))
                + ".c2ln";
    }
}
