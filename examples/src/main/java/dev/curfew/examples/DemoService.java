package dev.curfew.examples;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.curfew.Consumption;
import dev.curfew.Rotation;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.System.Logger;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A small service to try with curl, reachable from this machine alone: it signs in whoever gives a name, and shows what
 * becomes of the tokens. It has no passwords; all else is done as it should be. A page in this machine's browser cannot
 * reach it by a name of its own that leads here (DNS rebinding): it answers to the names of this machine alone.
 */
final class DemoService implements AutoCloseable {
    private static final Logger LOG = System.getLogger(DemoService.class.getName());
    private static final Duration SESSION = Duration.ofMinutes(15);
    private static final Duration REFRESH_TOKEN = Duration.ofHours(12);
    private static final Duration CONFIRMATION = Duration.ofMinutes(10);
    private static final String REFRESH = "refresh";
    private static final String CHANGE_EMAIL = "change-email";
    private static final String DEVICE = "device";
    private static final int DEVICE_COLUMNS = 40;
    private static final int MOST_BODY_BYTES = 8 * 1024;
    private static final int THREADS = 8;
    private static final String REQUEST_SECONDS = "5";
    private static final Pattern USER = Pattern.compile("[A-Za-z0-9._-]{1,64}");
    private static final Pattern EMAIL = Pattern.compile("[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,189}");
    private static final String BEARER = "Bearer ";
    private static final String STORE_DOWN = "The token store does not work at the moment.";

    static {
        // Else whoever sends a byte now and then keeps a thread for ever. The JDK's server has no other way to say so.
        System.setProperty("sun.net.httpserver.maxReqTime", REQUEST_SECONDS);
    }

    private final Map<String, Route> routes = Map.ofEntries(
            Map.entry("/sign-in", new Route("POST", this::signIn)),
            Map.entry("/who-am-i", new Route("GET", this::whoAmI)),
            Map.entry("/refresh-token", new Route("POST", this::refreshToken)),
            Map.entry("/refresh", new Route("POST", this::refresh)),
            Map.entry("/log-out", new Route("POST", this::logOut)),
            Map.entry("/log-out-device", new Route("POST", this::logOutDevice)),
            Map.entry("/log-out-other-devices", new Route("POST", this::logOutOtherDevices)),
            Map.entry("/log-out-everywhere", new Route("POST", this::logOutEverywhere)),
            Map.entry("/my-devices", new Route("GET", this::myDevices)),
            Map.entry("/change-email", new Route("POST", this::changeEmail)),
            Map.entry("/confirm", new Route("POST", this::confirm)));

    private final TokenResource tokens;
    private final Jwts jwts;
    private final InstantSource clock;
    private final HttpServer server;
    private final ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    // What an application has a user table for.
    private final Map<String, String> emails = new ConcurrentHashMap<>();

    private DemoService(TokenResource tokens, Jwts jwts, InstantSource clock, HttpServer server) {
        this.tokens = tokens;
        this.jwts = jwts;
        this.clock = clock;
        this.server = server;
        server.setExecutor(threads);
        server.createContext("/", this::answer);
    }

    /**
     * Starts a service on the loopback address.
     *
     * @param builder a builder that knows the store
     * @param port 0 for any free one
     * @throws IOException if the port cannot be had
     */
    static DemoService start(TokenResource.Builder builder, InstantSource clock, int port) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
        TokenResource tokens;
        try {
            tokens = builder.domain("quickstart_service")
                    .clock(clock)
                    .clockSkew(Jwts.LEEWAY)
                    .maxTokenLifetime(REFRESH_TOKEN)
                    // A confirmation code is a JWT of ours, too. Present for its own purpose only, it signs nobody in.
                    .requirePresence()
                    .build();
        } catch (RuntimeException e) {
            server.stop(0);
            throw e;
        }
        var service = new DemoService(tokens, new Jwts(clock), clock, server);
        server.start();
        return service;
    }

    /** Where it listens, without a slash at the end. */
    String url() {
        return "http://localhost:" + server.getAddress().getPort();
    }

    /** Prints lines for a shell that show all there is, one after another. */
    void printCurlLines(PrintStream out) {
        String phone = "curl -s -H \"Authorization: Bearer $PHONE\" ";
        String laptop = "curl -s -H \"Authorization: Bearer $LAPTOP\" ";
        out.println("Listening on " + url() + ", for this machine alone; Ctrl-C ends it. Paste into another shell:");
        List.of(
                        "",
                        "PHONE=$(curl -s -A phone -d user=ada " + url() + "/sign-in)",
                        "LAPTOP=$(curl -s -A laptop -d user=ada " + url() + "/sign-in)",
                        phone + url() + "/who-am-i",
                        phone + url() + "/my-devices",
                        "",
                        "FIRST=$(" + phone + "-X POST " + url() + "/refresh-token)",
                        "set -- $(curl -s -d refresh=$FIRST " + url() + "/refresh); PHONE=$1; SECOND=$2",
                        phone + url() + "/who-am-i",
                        "curl -s -d refresh=$FIRST " + url() + "/refresh # a thief has a copy of the first one",
                        "curl -s -d refresh=$SECOND " + url() + "/refresh",
                        phone + url() + "/who-am-i",
                        laptop + url() + "/who-am-i",
                        "",
                        "PHONE=$(curl -s -A phone -d user=ada " + url() + "/sign-in)",
                        "CODE=$(" + phone + "-d email=ada@new.example " + url() + "/change-email)",
                        "curl -s -d code=$CODE " + url() + "/confirm",
                        "curl -s -d code=$CODE " + url() + "/confirm",
                        phone + url() + "/who-am-i",
                        "",
                        "TABLET=$(curl -s -A tablet -d user=ada " + url() + "/sign-in)",
                        "DEVICE=$(" + laptop + url() + "/my-devices | sed -n 's/.*tablet  session //p')",
                        laptop + "-d session=$DEVICE " + url() + "/log-out-device",
                        "curl -s -H \"Authorization: Bearer $TABLET\" " + url() + "/who-am-i",
                        phone + "-X POST " + url() + "/log-out",
                        phone + url() + "/who-am-i",
                        laptop + url() + "/my-devices",
                        laptop + "-X POST " + url() + "/log-out-everywhere",
                        laptop + url() + "/who-am-i",
                        "TOKEN=$(curl -s -d user=ada " + url() + "/sign-in)",
                        "curl -s -H \"Authorization: Bearer $TOKEN\" " + url() + "/who-am-i")
                .forEach(out::println);
    }

    private String signIn(HttpExchange exchange) throws IOException {
        String user = field(exchange, "user", USER, "1 to 64 letters, digits, dots, hyphens and underscores");
        String agent = exchange.getRequestHeaders().getFirst("User-Agent");
        String jwt = jwts.issue(user, SESSION, UUID.randomUUID().toString());
        String device = agent == null ? "unknown" : SafeText.shortened(agent, DEVICE_COLUMNS);
        tokens.storeToken(justIssued(jwt), Token.DEFAULT_PURPOSE, Map.of(DEVICE, device));
        return jwt;
    }

    /** Its iat is a whole second. After "log out everywhere" the record tells, to the millisecond, that it is newer. */
    private Token justIssued(String jwt) {
        Token token = Token.peek(jwt);
        return new Token(token.jti(), token.subject(), clock.instant(), token.expiresAt(), token.session());
    }

    /** The first refresh token of a session. */
    private String refreshToken(HttpExchange exchange) {
        Token token = signedIn(exchange);
        String refreshToken = jwts.issue(token.subject(), REFRESH_TOKEN, token.session());
        tokens.storeToken(justIssued(refreshToken), REFRESH);
        return refreshToken;
    }

    /** Answers a new access token and the refresh token's successor, with a space between them. */
    private String refresh(HttpExchange exchange) throws IOException {
        Token presented;
        try {
            presented = jwts.verified(field(exchange, "refresh", Pattern.compile(".+"), "the refresh token"));
        } catch (Jwts.Refused e) {
            throw new Refusal(401, "Sign in again: " + e.reason() + ".");
        }
        if (presented.session() == null) {
            throw new Refusal(401, "Sign in again: this is no refresh token.");
        }
        String successor = jwts.issue(presented.subject(), REFRESH_TOKEN, presented.session());
        Rotation rotation = tokens.rotate(presented, REFRESH, justIssued(successor));
        if (rotation instanceof Rotation.Reused) {
            throw new Refusal(401, "Sign in again: this refresh token was used before, so the session has ended.");
        } else if (!(rotation instanceof Rotation.Rotated)) {
            throw new Refusal(401, "Sign in again: the refresh token is " + rotation + ".");
        }
        String access = jwts.issue(presented.subject(), SESSION, presented.session());
        tokens.storeToken(justIssued(access));
        return access + " " + successor;
    }

    private String whoAmI(HttpExchange exchange) {
        String user = signedIn(exchange).subject();
        String email = emails.get(user);
        return email == null ? user : user + ", " + email;
    }

    /** Ends the session, so that its refresh token is no good either. */
    private String logOut(HttpExchange exchange) {
        tokens.revokeSession(String.valueOf(signedIn(exchange).session()));
        return "You are logged out.";
    }

    /** The session comes from a browser, so it must be one of hers. */
    private String logOutDevice(HttpExchange exchange) throws IOException {
        String user = signedIn(exchange).subject();
        String session = field(exchange, "session", Pattern.compile("[0-9a-f-]{36}"), "a session of my-devices");
        if (tokens.listTokens(user).stream().noneMatch(record -> session.equals(record.session()))) {
            throw new Refusal(404, "You have no such session.");
        }
        tokens.revokeSession(session);
        return "This device is logged out.";
    }

    private String logOutOtherDevices(HttpExchange exchange) {
        Token token = signedIn(exchange);
        return "Tokens revoked: "
                + tokens.revokeAllStoredForSubjectExcept(token.subject(), String.valueOf(token.session()));
    }

    /**
     * The watermark is enough: from then on no token is good, stored or not, and no confirmation waits. Revoking what is
     * stored, one by one, tells how many there were.
     */
    private String logOutEverywhere(HttpExchange exchange) {
        String user = signedIn(exchange).subject();
        tokens.revokeSubject(user);
        return "You are logged out everywhere; tokens revoked: " + tokens.revokeAllStoredForSubject(user);
    }

    private String myDevices(HttpExchange exchange) {
        Token token = signedIn(exchange);
        return tokens.listTokens(token.subject()).stream()
                .filter(record -> record.purpose().equals(Token.DEFAULT_PURPOSE))
                .map(record -> "until " + record.expiresAt() + "  " + device(record)
                        + "  session " + record.session()
                        + (record.jti().equals(token.jti()) ? "  (this one)" : ""))
                .collect(Collectors.joining("\n"));
    }

    private static String device(TokenRecord record) {
        var extraData = record.extraData();
        return extraData == null ? "" : String.valueOf(extraData.get(DEVICE));
    }

    /** Answers the code that a real service would send to the new address, and show to nobody else. */
    private String changeEmail(HttpExchange exchange) throws IOException {
        String user = signedIn(exchange).subject();
        String email = field(exchange, "email", EMAIL, "an address such as ada@new.example");
        String code = jwts.issue(user, CONFIRMATION);
        tokens.storeConfirmationChanges(Token.peek(code), CHANGE_EMAIL, Map.of("email", email));
        return code;
    }

    private String confirm(HttpExchange exchange) throws IOException {
        Token code;
        try {
            code = jwts.verified(field(exchange, "code", Pattern.compile(".+"), "the code from the mail"));
        } catch (Jwts.Refused e) {
            throw new Refusal(400, "This is no code of ours: " + e.reason() + ".");
        }
        if (!(tokens.consumeConfirmationChanges(code, CHANGE_EMAIL) instanceof Consumption.Consumed confirmed)) {
            throw new Refusal(410, "Nothing waits for this code: it was used, or has expired.");
        }
        String email = String.valueOf(
                Objects.requireNonNull(confirmed.record().extraData()).get("email"));
        emails.put(code.subject(), email);
        return "Your address is now " + email + ".";
    }

    /** The token of the request, if all is well with it: signature first, then what Curfew knows of it. */
    private Token signedIn(HttpExchange exchange) {
        String header = exchange.getRequestHeaders().getFirst("Authorization");
        if (header == null || !header.regionMatches(true, 0, BEARER, 0, BEARER.length())) {
            throw new Refusal(401, "Sign in first, and send the token: Authorization: Bearer TOKEN");
        }
        Token token;
        try {
            token = jwts.verified(header.substring(BEARER.length()).strip());
        } catch (Jwts.Refused e) {
            throw new Refusal(401, "Not signed in: " + e.reason() + ".");
        }
        TokenStatus status = tokens.check(token);
        if (status == TokenStatus.UNAVAILABLE) {
            throw new Refusal(503, STORE_DOWN);
        }
        if (status != TokenStatus.ACTIVE) {
            throw new Refusal(401, "Not signed in: the token is " + status + ".");
        }
        return token;
    }

    /** A field of a form as curl's {@code -d name=value} sends it. */
    private static String field(HttpExchange exchange, String name, Pattern valid, String meaning) throws IOException {
        byte[] body = exchange.getRequestBody().readNBytes(MOST_BODY_BYTES + 1);
        if (body.length > MOST_BODY_BYTES) {
            throw new Refusal(413, "The body has more than " + MOST_BODY_BYTES + " bytes.");
        }
        for (String pair : new String(body, UTF_8).split("&", -1)) {
            if (pair.startsWith(name + "=")) {
                String value = decoded(pair.substring(name.length() + 1));
                if (valid.matcher(value).matches()) {
                    return value;
                }
            }
        }
        throw new Refusal(400, "Send " + name + "=..., " + meaning + ".");
    }

    private static String decoded(String value) {
        try {
            return URLDecoder.decode(value, UTF_8);
        } catch (IllegalArgumentException e) {
            throw new Refusal(400, "The body is not a form.");
        }
    }

    private void answer(HttpExchange exchange) throws IOException {
        try (exchange) {
            int status = 200;
            String text;
            try {
                text = routed(exchange);
            } catch (Refusal e) {
                status = e.status;
                text = String.valueOf(e.getMessage());
            } catch (TokenStoreException e) {
                status = 503;
                text = STORE_DOWN;
            } catch (RuntimeException e) {
                status = 500;
                text = "That should not have happened.";
                LOG.log(Logger.Level.ERROR, "A request failed", e);
            }
            byte[] body = (text + "\n").getBytes(UTF_8);
            var headers = exchange.getResponseHeaders();
            headers.set("Content-Type", "text/plain; charset=utf-8");
            headers.set("Cache-Control", "no-store");
            if (status == 401) {
                headers.set("WWW-Authenticate", "Bearer");
            }
            boolean bodyless = exchange.getRequestMethod().equals("HEAD");
            exchange.sendResponseHeaders(status, bodyless ? -1 : body.length);
            if (!bodyless) {
                exchange.getResponseBody().write(body);
            }
        }
    }

    private String routed(HttpExchange exchange) throws IOException {
        if (!isForThisMachine(exchange.getRequestHeaders().get("Host"))) {
            throw new Refusal(421, "Ask for " + url() + ".");
        }
        Route route = routes.get(exchange.getRequestURI().getPath());
        if (route == null) {
            throw new Refusal(404, "There is nothing here.");
        }
        if (!exchange.getRequestMethod().equals(route.method())) {
            exchange.getResponseHeaders().set("Allow", route.method());
            throw new Refusal(405, "Send a " + route.method() + ".");
        }
        return route.handler().answer(exchange);
    }

    private boolean isForThisMachine(@Nullable List<String> hosts) {
        int port = server.getAddress().getPort();
        return hosts != null
                && hosts.size() == 1
                && Set.of("localhost:" + port, "127.0.0.1:" + port, "[::1]:" + port)
                        .contains(hosts.get(0).toLowerCase(Locale.ROOT));
    }

    /** Stops listening, then closes the token resource. */
    @Override
    public void close() {
        server.stop(0);
        threads.shutdownNow();
        tokens.close();
    }

    private record Route(String method, Handler handler) {}

    private interface Handler {
        String answer(HttpExchange exchange) throws IOException;
    }

    /** An answer other than 200; the message is its text. */
    private static final class Refusal extends RuntimeException {
        private static final long serialVersionUID = 1;

        final int status;

        Refusal(int status, String text) {
            super(text);
            this.status = status;
        }
    }
}
