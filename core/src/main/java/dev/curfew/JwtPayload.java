package dev.curfew;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Base64;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** The claims that Curfew needs, read strictly from a JWT that nobody has verified yet. */
final class JwtPayload {
    private static final int MOST_CHARACTERS = 16 * 1024;
    private static final String WHOLE = "token";

    // A claim that stands twice is refused: two readers could each believe another one (RFC 7519 section 4).
    static final JsonFactory JSON = JsonFactory.builder()
            // The names are a stranger's: to keep them in a table costs more than it saves.
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .disable(StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION)
            // So that a number that is too long is found by the claim that it stands for, and not by the parser.
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNumberLength(MOST_CHARACTERS)
                    .build())
            .build();

    private static final BigDecimal FIRST_SECOND = BigDecimal.valueOf(-62_167_219_200L);
    private static final BigDecimal LAST_SECOND = BigDecimal.valueOf(253_402_300_800L);
    // Beyond this, arithmetic on the number would cost more than any real time is worth.
    private static final int MOST_SCALE = 100;

    private @Nullable String issuer;
    private @Nullable String jti;
    private @Nullable String subject;
    private @Nullable String session;
    private @Nullable BigDecimal expiresAt;
    private @Nullable BigDecimal issuedAt;

    private final String jtiClaim;
    private final String subjectClaim;

    JwtPayload(String jtiClaim, String subjectClaim) {
        this.jtiClaim = jtiClaim;
        this.subjectClaim = subjectClaim;
    }

    JwtPayload() {
        this("jti", "sub");
    }

    /**
     * @param asked who must have issued it, or {@code null} for anybody
     * @param orDigest whether a digest may take the place of a missing jti
     */
    PeekedJwt read(String compact, @Nullable String asked, boolean orDigest) {
        String json = payload(compact);
        // What the parser says may quote the payload, so its words and its exception stop here.
        try (JsonParser parser = JSON.createParser(json)) {
            read(parser);
        } catch (IOException e) {
            throw new InvalidTokenException(WHOLE, "its payload is not one JSON object without duplicate names");
        }
        if (asked != null && !asked.equals(issuer)) {
            throw new InvalidTokenException("iss", "it is not the issuer that was asked for");
        }
        if (orDigest && jti == null) {
            jti = Secrets.idOf(compact.substring(0, compact.lastIndexOf('.')));
        }
        return new PeekedJwt(toToken(), issuer);
    }

    private static String payload(String compact) {
        if (compact == null || compact.isEmpty()) {
            throw new InvalidTokenException(WHOLE, "it is empty");
        }
        if (compact.length() > MOST_CHARACTERS) {
            throw new InvalidTokenException(WHOLE, "it is longer than " + MOST_CHARACTERS + " characters");
        }
        int first = compact.indexOf('.');
        int second = compact.indexOf('.', first + 1);
        if (first < 1 || second < 0 || compact.indexOf('.', second + 1) >= 0) {
            throw new InvalidTokenException(WHOLE, "it does not have the three parts of a JWS in compact form");
        }
        // The header and the signature are read for their form alone: a token with "Bearer " before it is none.
        decoded("header", compact.substring(0, first));
        decoded("signature", compact.substring(second + 1));
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(decoded("payload", compact.substring(first + 1, second))))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new InvalidTokenException(WHOLE, "its payload is not UTF-8");
        }
    }

    private static byte[] decoded(String name, String part) {
        try {
            if (part.indexOf('=') < 0) {
                return Base64.getUrlDecoder().decode(part);
            }
        } catch (IllegalArgumentException e) {
            // Without the decoder's message, which quotes a character of the token.
        }
        throw new InvalidTokenException(WHOLE, "its " + name + " is not base64url without padding");
    }

    private void read(JsonParser parser) throws IOException {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw new InvalidTokenException(WHOLE, "its payload is not a JSON object");
        }
        String claim;
        while ((claim = parser.nextFieldName()) != null) {
            parser.nextToken();
            boolean isJti = claim.equals(jtiClaim);
            boolean isSubject = claim.equals(subjectClaim);
            if (isJti || isSubject || claim.equals("iss") || claim.equals("sid")) {
                String text = text(parser, claim);
                jti = isJti ? text : jti;
                subject = isSubject ? text : subject;
                issuer = claim.equals("iss") ? text : issuer;
                session = claim.equals("sid") ? text : session;
            } else if (claim.equals("exp")) {
                expiresAt = number(parser, claim);
            } else if (claim.equals("iat")) {
                issuedAt = number(parser, claim);
            } else {
                parser.skipChildren();
            }
        }
        if (parser.nextToken() != null) {
            throw new InvalidTokenException(WHOLE, "something follows the JSON object of its payload");
        }
    }

    private static String text(JsonParser parser, String claim) throws IOException {
        if (!parser.hasToken(JsonToken.VALUE_STRING)) {
            throw new InvalidTokenException(claim, "it is not a string");
        }
        return parser.getText();
    }

    private static BigDecimal number(JsonParser parser, String claim) {
        JsonToken token = parser.currentToken();
        if (token != JsonToken.VALUE_NUMBER_INT && token != JsonToken.VALUE_NUMBER_FLOAT) {
            throw new InvalidTokenException(claim, "it is not a number of seconds");
        }
        try {
            return parser.getDecimalValue();
        } catch (IOException | NumberFormatException e) {
            // An exponent beyond an int, or too many digits. The message would quote the payload.
            throw new InvalidTokenException(claim, "it is not a number of seconds");
        }
    }

    private Token toToken() {
        return new Token(
                claim(jtiClaim, jti, Limits::jti),
                claim(subjectClaim, subject, Limits::subject),
                issuedAt == null ? null : claim("iat", issuedAt, seconds -> instant(seconds, RoundingMode.FLOOR)),
                claim("exp", expiresAt, seconds -> instant(seconds, RoundingMode.CEILING)),
                session == null ? null : claim("sid", session, Limits::session));
    }

    private static <T, R> R claim(String claim, @Nullable T value, Function<T, R> check) {
        if (value == null) {
            throw new InvalidTokenException(claim, "it is missing");
        }
        try {
            return check.apply(value);
        } catch (IllegalArgumentException e) {
            throw new InvalidTokenException(claim, String.valueOf(e.getMessage()));
        }
    }

    /** RFC 7519 section 2, NumericDate: seconds since the epoch, a fraction allowed. */
    private static Instant instant(BigDecimal seconds, RoundingMode rounding) {
        if (Math.abs(seconds.scale()) > MOST_SCALE
                || seconds.compareTo(FIRST_SECOND) < 0
                || seconds.compareTo(LAST_SECOND) >= 0) {
            throw new IllegalArgumentException("it is no time in the years 0 to 9999");
        }
        return Times.inRange(
                "it",
                Instant.ofEpochMilli(
                        seconds.movePointRight(3).setScale(0, rounding).longValueExact()));
    }
}
