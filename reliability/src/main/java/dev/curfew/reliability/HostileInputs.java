package dev.curfew.reliability;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.jr.ob.JSON;
import dev.curfew.Consumption;
import dev.curfew.InvalidTokenException;
import dev.curfew.PeekedJwt;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.math.BigInteger;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Gives Curfew inputs that are meant to break it, from {@code hostile.txt} and from a fuzzer with a seed. Each must be
 * answered right, or refused by a documented exception that does not quote it.
 */
final class HostileInputs {
    private static final int KINDS = 7;
    private static final Pattern ESCAPE = Pattern.compile("\\\\u([0-9a-f]{4})");
    private static final Pattern REPEATED = Pattern.compile("<(\\d+):(.+?)>");
    private static final Instant START = Instant.parse("2100-01-01T00:00:00Z");
    private static final Instant EXPIRY = START.plus(Duration.ofHours(1));

    private final List<String> corpus = corpus();
    private final List<String> findings = new ArrayList<>();
    private final TokenResource tokens;
    private final String url;
    private final SecretWatch watch;
    private final Random random;
    private int count;

    HostileInputs(TokenResource tokens, String url, SecretWatch watch, long seed) {
        this.tokens = tokens;
        this.url = url;
        this.watch = watch;
        this.random = new Random(seed);
    }

    private static List<String> corpus() {
        try (InputStream file = Objects.requireNonNull(HostileInputs.class.getResourceAsStream("hostile.txt"))) {
            return new String(file.readAllBytes(), UTF_8)
                    .lines()
                    .filter(line -> !line.startsWith("#"))
                    .map(HostileInputs::unescaped)
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String unescaped(String line) {
        String all = ESCAPE.matcher(line.replace("\\r", "\r").replace("\\n", "\n"))
                .replaceAll(it -> Matcher.quoteReplacement(String.valueOf((char) Integer.parseInt(it.group(1), 16))));
        return REPEATED.matcher(all)
                .replaceAll(it -> Matcher.quoteReplacement(it.group(2).repeat(Integer.parseInt(it.group(1)))));
    }

    int count() {
        return count;
    }

    /** What went wrong, by number and kind; with the seed the input can be made again. */
    List<String> findings() {
        return findings;
    }

    /** Tries one. The lines of the corpus come first, in each place; then mixtures. */
    @SuppressWarnings("CatchingUnchecked") // whatever is thrown is a finding
    void next() {
        boolean isFirst = count < KINDS * corpus.size();
        String input = isFirst ? corpus.get(count / KINDS) : mixture();
        // A URL takes as long as hundreds of the others: a client is made each time.
        int kind = isFirst || random.nextInt(10) == 0 ? count % KINDS : count % (KINDS - 1);
        try {
            switch (kind) {
                case 0 -> peek(input);
                case 1 -> jti(input);
                case 2 -> subject(input);
                case 3 -> session(input);
                case 4 -> purpose(input);
                case 5 -> extraData(input);
                default -> url(input);
            }
        } catch (Exception | Error e) {
            String what = e instanceof IllegalStateException ? ", " + e.getMessage() : "";
            findings.add("hostile input " + count + " of kind " + kind + ": "
                    + e.getClass().getName() + what);
        }
        count++;
    }

    private static void require(boolean condition, String what) {
        if (!condition) {
            throw new IllegalStateException(what);
        }
    }

    private String mixture() {
        var text = new StringBuilder(any(corpus));
        for (int edits = random.nextInt(6); edits >= 0; edits--) {
            int at = random.nextInt(text.length() + 1);
            switch (random.nextInt(7)) {
                case 0 -> text.insert(at, (char) random.nextInt(0x20));
                case 1 -> text.insert(at, (char) random.nextInt(0x10000));
                case 2 -> text.insert(at, Character.toString(0x10000 + random.nextInt(0x100000)));
                case 3 -> text.insert(at, any(corpus));
                case 4 -> text.setLength(at);
                case 5 -> text.insert(at, "a".repeat(random.nextInt(700)));
                default -> text.insert(at, SecretWatch.MARK);
            }
        }
        return text.toString();
    }

    private <T> T any(List<T> from) {
        return from.get(random.nextInt(from.size()));
    }

    private static boolean isText(String text) {
        return UTF_8.newEncoder().canEncode(text) && text.indexOf('\0') < 0;
    }

    /** Whether Curfew must take it: the limits of R9.1, written once more. */
    private static boolean isValid(String text, int most) {
        return isText(text) && !text.isEmpty() && text.getBytes(UTF_8).length <= most;
    }

    /** Does something with an input that must be taken if it is valid, and else be refused. */
    private void take(boolean isValid, Runnable action) {
        boolean isTaken = true;
        try {
            action.run();
        } catch (IllegalArgumentException e) {
            watch.look(e);
            isTaken = false;
        }
        require(isTaken == isValid, isValid ? "a valid input is refused" : "an invalid input is taken");
    }

    private TokenResource tenant() {
        return tokens.forTenant("tenant " + count);
    }

    private static Token token(String jti, String subject) {
        return Token.of(jti, subject, START, EXPIRY);
    }

    private void peek(String input) throws IOException {
        String claim = any(List.of("jti", "sub", "sid"));
        Map<String, Object> claims = new HashMap<>(Map.of("jti", "a", "sub", "b", "exp", EXPIRY.getEpochSecond()));
        claims.put(claim, input);
        String compact = "e30." + base64(JSON.std.asString(claims)) + ".c2ln";
        if (isValid(input, 512)) {
            Token read = Token.peek(compact);
            String found = claim.equals("jti") ? read.jti() : claim.equals("sub") ? read.subject() : read.session();
            require(input.equals(found), "another value is read");
        }
        var broken = new StringBuilder(compact);
        broken.setCharAt(random.nextInt(compact.length()), (char) (' ' + random.nextInt(100)));
        for (String each : List.of(input, compact, "e30." + base64(input) + ".c2ln", broken.toString())) {
            for (boolean orDigest : new boolean[] {false, true}) {
                try {
                    PeekedJwt.read(each, "jti", "sub", orDigest);
                } catch (InvalidTokenException e) {
                    watch.look(e);
                }
            }
        }
    }

    private static String base64(String text) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(text.getBytes(UTF_8));
    }

    private void jti(String input) {
        TokenResource tenant = tenant();
        take(isValid(input, 512), () -> require(!tenant.isRevoked(input), "it is revoked before"));
        take(isValid(input, 512), () -> {
            require(tenant.storeToken(token(input, "s")) == StoreOutcome.STORED, "it is not stored");
            require(tenant.inspect(input).orElseThrow().jti().equals(input), "another record comes back");
            require(tenant.revokeJti(input) == RevokeOutcome.REVOKED, "it cannot be revoked");
            require(tenant.isRevoked(input), "it is not revoked");
            for (String other : List.of(input + " ", " " + input, input.substring(input.length() / 2), "*")) {
                require(!isValid(other, 512) || other.equals(input) || !tenant.isRevoked(other), "another one is, too");
            }
        });
    }

    private void subject(String input) {
        TokenResource tenant = tenant();
        take(isValid(input, 1024), () -> {
            require(tenant.storeToken(token("a", input)) == StoreOutcome.STORED, "it is not stored");
            require(tenant.listTokens(input).size() == 1, "it is not listed");
            tenant.revokeSubject(input);
            require(tenant.check(token("a", input)) == TokenStatus.REVOKED, "it is not revoked");
            require(tenant.check(token("b", "x" + count)) == TokenStatus.ACTIVE, "another one is, too");
        });
    }

    private void session(String input) {
        TokenResource tenant = tenant();
        take(isValid(input, 512), () -> {
            require(tenant.revokeSession(input) == RevokeOutcome.REVOKED, "it cannot be revoked");
            require(tenant.check(token("a", "s").withSession(input)) == TokenStatus.REVOKED, "it is not revoked");
            require(
                    tenant.check(token("a", "s").withSession("x" + count)) == TokenStatus.ACTIVE,
                    "another one is, too");
        });
    }

    private void purpose(String input) {
        TokenResource tenant = tenant();
        take(isValid(input, 64), () -> {
            tenant.storeToken(token("a", "s"), input);
            require(tenant.consume("a", "x" + count) == Consumption.Refused.UNKNOWN, "another purpose consumes it");
            require(tenant.consume("a", input) instanceof Consumption.Consumed, "it cannot be consumed");
        });
    }

    private void extraData(String input) {
        // What is longer may be too long once it is written as JSON.
        String text = input.length() > 8_000 ? input.substring(0, 8_000) : input;
        TokenResource tenant = tenant();
        List<Object> bad = List.of(Double.NaN, new Object(), BigInteger.TWO.pow(70), List.of(1 / -0.0));
        boolean isBad = random.nextInt(5) == 0;
        Object value = switch (random.nextInt(5)) {
            case 0 -> random.nextLong();
            case 1 -> random.nextGaussian() * Math.pow(10, random.nextInt(600) - 300);
            case 2 -> List.of(text, Map.of(text, random.nextInt()));
            case 3 -> nested(random.nextInt(95));
            default -> text;
        };
        Map<String, Object> data = Map.of(text, isBad ? any(bad) : value, text + "v", text);
        take(isText(text) && !isBad, () -> {
            tenant.storeToken(token("a", "s"), "p", data);
            require(data.equals(tenant.inspect("a").orElseThrow().extraData()), "other extra data come back");
        });
    }

    private static Object nested(int levels) {
        return levels == 0 ? "x" : List.of(nested(levels - 1));
    }

    /** Nobody listens at port 1. The input is in the place of a password, a path or a parameter, or is all of the URL. */
    private void url(String input) {
        String server = url.replaceFirst("^((?:jdbc:)?[a-z-]+):.*", "$1://");
        String secret = SecretWatch.MARK + "-password";
        String login = server.startsWith("jdbc:") ? "" : "user:" + secret + "@";
        String hostile = switch (random.nextInt(4)) {
            case 0 -> input;
            case 1 -> server + "u:" + secret + input + "@127.0.0.1:1/0";
            case 2 -> server + login + "127.0.0.1:1/" + input + "?password=" + secret;
            default -> server + login + "127.0.0.1:1/0?password=" + secret + "&" + input + "=" + input;
        };
        Duration second = Duration.ofSeconds(1);
        try (TokenResource opened = TokenResource.builder()
                .url(hostile)
                .openDeadline(second)
                .callDeadline(second)
                .build()) {
            require(url.startsWith("memory:"), "it was opened: " + opened);
        } catch (IllegalArgumentException | TokenStoreException e) {
            watch.look(e);
        }
    }
}
