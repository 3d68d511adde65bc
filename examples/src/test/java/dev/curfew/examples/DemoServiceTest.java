package dev.curfew.examples;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.curfew.Token;
import dev.curfew.TokenAction;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class DemoServiceTest {
    private final HandClock clock = new HandClock(Instant.parse("2030-01-01T00:00:00Z"));
    private final HttpClient client = HttpClient.newHttpClient();
    private DemoService service;

    @BeforeEach
    void start() throws IOException {
        service = DemoService.start(TokenResource.builder().url("memory:"), clock, 0);
    }

    @AfterEach
    void stop() {
        service.close();
    }

    @Test
    void whoSignsInIsKnownUntilTheyLogOut() throws Exception {
        String token = signIn("ada", "phone");

        assertAnswer(get("/who-am-i", token), 200, "ada");
        assertAnswer(post("/log-out", token, ""), 200, "You are logged out.");
        assertAnswer(get("/who-am-i", token), 401, "Not signed in: the token is REVOKED.");
        assertAnswer(post("/log-out", token, ""), 401, "Not signed in: the token is REVOKED.");
    }

    /** An outage is no log-out: the browser keeps its token. */
    @Test
    void aStoreThatIsDownIsToldApartFromALogOut() throws Exception {
        service.close();
        var down = new AtomicBoolean();
        service = DemoService.start(
                TokenResource.builder()
                        .url("memory:")
                        .intercept(
                                TokenAction.CHECK,
                                (call, next) -> down.get() ? TokenStatus.UNAVAILABLE : next.proceed(call.argument())),
                clock,
                0);
        String token = signIn("ada", "phone");
        down.set(true);
        assertAnswer(get("/who-am-i", token), 503, "The token store does not work at the moment.");
        down.set(false);
        assertAnswer(get("/who-am-i", token), 200, "ada");
    }

    @Test
    void devicesAreListedAndLoggedOutTogether() throws Exception {
        String phone = signIn("ada", "phone");
        clock.moveBy(Duration.ofSeconds(1));
        String laptop = signIn("ada", "laptop\\");
        String stranger = signIn("bob", "tablet");
        post("/change-email", phone, "email=ada@new.example");

        assertAnswer(
                get("/my-devices", laptop),
                200,
                "until 2030-01-01T00:15:00Z  phone  session " + session(phone)
                        + "\nuntil 2030-01-01T00:15:01Z  laptop\\\\  session " + session(laptop) + "  (this one)");

        // The confirmation that waits is the third.
        assertAnswer(post("/log-out-everywhere", phone, ""), 200, "You are logged out everywhere; tokens revoked: 3");
        assertAnswer(get("/who-am-i", phone), 401, "Not signed in: the token is REVOKED.");
        assertAnswer(get("/who-am-i", laptop), 401, "Not signed in: the token is REVOKED.");
        assertAnswer(get("/who-am-i", stranger), 200, "bob");

        // Within the second of the watermark it is the record's time of issue that decides (R4.4).
        clock.moveBy(Duration.ofMillis(1));
        String again = signIn("ada", "phone");
        assertAnswer(
                get("/my-devices", again),
                200,
                "until 2030-01-01T00:15:01Z  phone  session " + session(again) + "  (this one)");
    }

    private static String session(String jwt) {
        return String.valueOf(Token.peek(jwt).session());
    }

    @Test
    void oneDeviceIsLoggedOutByItsSession() throws Exception {
        String phone = signIn("ada", "phone");
        String laptop = signIn("ada", "laptop");
        String stranger = signIn("bob", "tablet");

        assertAnswer(post("/log-out-device", phone, "session=" + session(stranger)), 404, "You have no such session.");
        assertAnswer(post("/log-out-device", phone, "session=" + session(laptop)), 200, "This device is logged out.");
        assertAnswer(get("/who-am-i", laptop), 401, "Not signed in: the token is REVOKED.");
        assertAnswer(get("/who-am-i", stranger), 200, "bob");

        String tablet = signIn("ada", "tablet");
        assertAnswer(post("/log-out-other-devices", phone, ""), 200, "Tokens revoked: 2");
        assertAnswer(get("/who-am-i", tablet), 401, "Not signed in: the token is REVOKED.");
        assertAnswer(get("/who-am-i", phone), 200, "ada");
    }

    @Test
    void aRefreshTokenThatIsUsedTwiceEndsTheSession() throws Exception {
        String access = signIn("ada", "phone");
        String laptop = signIn("ada", "laptop");
        String first = post("/refresh-token", access, "").body().strip();
        String[] answer =
                post("/refresh", null, "refresh=" + first).body().strip().split(" ");
        assertAnswer(get("/who-am-i", answer[0]), 200, "ada");
        assertAnswer(get("/who-am-i", first), 401, "Not signed in: the token is REVOKED.");

        assertAnswer(
                post("/refresh", null, "refresh=" + first),
                401,
                "Sign in again: this refresh token was used before, so the session has ended.");
        for (String out : List.of(access, answer[0])) {
            assertAnswer(get("/who-am-i", out), 401, "Not signed in: the token is REVOKED.");
        }
        assertAnswer(
                post("/refresh", null, "refresh=" + answer[1]), 401, "Sign in again: the refresh token is REVOKED.");
        assertAnswer(get("/who-am-i", laptop), 200, "ada");
    }

    @Test
    void onlyRefreshTokensAreTakenForRefreshing() throws Exception {
        String access = signIn("ada", "phone");
        String code =
                post("/change-email", access, "email=ada@new.example").body().strip();
        assertAnswer(post("/refresh", null, "refresh=" + access), 401, "Sign in again: the refresh token is UNKNOWN.");
        assertAnswer(post("/refresh", null, "refresh=" + code), 401, "Sign in again: this is no refresh token.");
        assertAnswer(post("/refresh", null, "refresh=abc"), 401, "Sign in again: this is no JWT that can be read.");
        assertAnswer(get("/who-am-i", access), 200, "ada");
    }

    /** The lines that are printed for a shell do what they are to show. */
    @Test
    void thePrintedLinesRun() throws Exception {
        service.close();
        // Each look at the clock is a millisecond later: what is issued after a watermark is newer than the watermark.
        var looks = new AtomicLong();
        service = DemoService.start(
                TokenResource.builder().url("memory:"), () -> clock.instant().plusMillis(looks.incrementAndGet()), 0);
        var printed = new ByteArrayOutputStream();
        service.printCurlLines(new PrintStream(printed, true, UTF_8));
        String lines = printed.toString(UTF_8).lines().skip(1).collect(Collectors.joining("\n"));
        Process shell;
        try {
            shell = new ProcessBuilder("sh", "-c", "command -v curl >/dev/null || exit 127\n" + lines)
                    .redirectErrorStream(true)
                    .start();
        } catch (IOException e) {
            System.out.println("There is no shell here: the printed lines were not run.");
            return;
        }
        String answers = new String(shell.getInputStream().readAllBytes(), UTF_8);
        if (shell.waitFor() == 127) {
            System.out.println("There is no curl here: the printed lines were not run.");
            return;
        }
        assertThat(answers.lines())
                .filteredOn(line -> !line.startsWith("until "))
                .containsExactly(
                        "ada",
                        "ada",
                        "Sign in again: this refresh token was used before, so the session has ended.",
                        "Sign in again: the refresh token is REVOKED.",
                        "Not signed in: the token is REVOKED.",
                        "ada",
                        "Your address is now ada@new.example.",
                        "Nothing waits for this code: it was used, or has expired.",
                        "ada, ada@new.example",
                        "This device is logged out.",
                        "Not signed in: the token is REVOKED.",
                        "You are logged out.",
                        "Not signed in: the token is REVOKED.",
                        "You are logged out everywhere; tokens revoked: 6",
                        "Not signed in: the token is REVOKED.",
                        "ada, ada@new.example");
    }

    @Test
    void anAddressIsConfirmedOnce() throws Exception {
        String token = signIn("ada", "phone");
        String code =
                post("/change-email", token, "email=ada%40new.example").body().strip();

        assertAnswer(get("/who-am-i", token), 200, "ada");
        assertAnswer(post("/confirm", null, "code=" + code), 200, "Your address is now ada@new.example.");
        assertAnswer(
                post("/confirm", null, "code=" + code),
                410,
                "Nothing waits for this code: it was used, or has expired.");
        assertAnswer(get("/who-am-i", token), 200, "ada, ada@new.example");
    }

    @Test
    void aTokenServesItsOwnPurposeOnly() throws Exception {
        String token = signIn("ada", "phone");
        String code =
                post("/change-email", token, "email=ada@new.example").body().strip();

        assertAnswer(get("/who-am-i", code), 401, "Not signed in: the token is UNKNOWN.");
        assertThat(post("/confirm", null, "code=" + token).statusCode()).isEqualTo(410);
        assertThat(get("/who-am-i", token).statusCode()).isEqualTo(200);
        assertThat(post("/confirm", null, "code=" + code).statusCode()).isEqualTo(200);
    }

    @Test
    void whatIsMissingForgedOrExpiredIsRefused() throws Exception {
        String token = signIn("ada", "phone");
        String forged = new Jwts(clock).issue("ada", Duration.ofMinutes(1));

        HttpResponse<String> missing = get("/who-am-i", null);
        assertAnswer(missing, 401, "Sign in first, and send the token: Authorization: Bearer TOKEN");
        assertThat(missing.headers().firstValue("WWW-Authenticate")).hasValue("Bearer");
        assertAnswer(get("/who-am-i", forged), 401, "Not signed in: the JWT is not signed by us.");
        assertAnswer(get("/who-am-i", "abc"), 401, "Not signed in: this is no JWT that can be read.");
        assertAnswer(
                post("/confirm", null, "code=" + forged), 400, "This is no code of ours: the JWT is not signed by us.");

        clock.moveBy(Duration.ofMinutes(15));
        assertAnswer(get("/who-am-i", token), 401, "Not signed in: the token is EXPIRED.");
        clock.moveBy(Jwts.LEEWAY);
        assertAnswer(get("/who-am-i", token), 401, "Not signed in: the JWT has expired.");
    }

    @Test
    void whatCannotBeUnderstoodIsRefused() throws Exception {
        assertThat(post("/sign-in", null, "").statusCode()).isEqualTo(400);
        assertThat(post("/sign-in", null, "user=").statusCode()).isEqualTo(400);
        assertThat(post("/sign-in", null, "user=a%0Ab").statusCode()).isEqualTo(400);
        assertThat(post("/sign-in", null, "user=%zz").statusCode()).isEqualTo(400);
        assertThat(post("/sign-in", null, "user=" + "a".repeat(8192)).statusCode())
                .isEqualTo(413);
        assertThat(post("/change-email", signIn("ada", "phone"), "email=nowhere")
                        .statusCode())
                .isEqualTo(400);
        assertThat(get("/no-such-page", null).statusCode()).isEqualTo(404);
        HttpResponse<String> wrongMethod = get("/sign-in", null);
        assertThat(wrongMethod.statusCode()).isEqualTo(405);
        assertThat(wrongMethod.headers().firstValue("Allow")).hasValue("POST");
    }

    @Test
    void itPrintsLinesForTheShell() {
        var printed = new ByteArrayOutputStream();
        service.printCurlLines(new PrintStream(printed, true, UTF_8));

        assertThat(printed.toString(UTF_8))
                .startsWith("Listening on " + service.url())
                .contains("TOKEN=$(curl -s -d user=ada " + service.url() + "/sign-in)");
    }

    /** A page of another site can make a browser ask this machine, by a name that leads here: then the name is wrong. */
    @Test
    void onlyTheNamesOfThisMachineAreAnswered() throws Exception {
        for (String name : List.of("localhost", "LOCALHOST", "127.0.0.1", "[::1]")) {
            assertThat(statusLine("Host: " + name + ":" + port())).contains(" 401 ");
        }
        for (String header : List.of(
                "Host: rebound.example:" + port(),
                "Host: localhost",
                "Host: localhost:" + (port() - 1),
                "Host: localhost.rebound.example:" + port(),
                "Host:",
                "X-Forwarded-Host: localhost:" + port(),
                "Host: localhost:" + port() + "\r\nHost: rebound.example")) {
            assertThat(statusLine(header)).as(header).contains(" 421 ");
        }
    }

    @Test
    @Timeout(60)
    void aBodyThatDoesNotComeHoldsNoThread() throws Exception {
        List<Socket> slow = new ArrayList<>();
        try {
            // More than there are threads.
            for (int i = 0; i < 20; i++) {
                slow.add(sent(
                        "POST /sign-in HTTP/1.1\r\nHost: localhost:" + port() + "\r\nContent-Length: 8\r\n\r\nuser"));
            }
            for (Socket socket : slow) {
                assertThat(received(socket)).isEmpty();
            }
            assertThat(signIn("ada", "phone")).isNotEmpty();
        } finally {
            for (Socket socket : slow) {
                socket.close();
            }
        }
    }

    @Test
    void itListensForThisMachineAlone() throws Exception {
        for (NetworkInterface each : Collections.list(NetworkInterface.getNetworkInterfaces())) {
            for (InetAddress address : Collections.list(each.getInetAddresses())) {
                if (!address.isLoopbackAddress()) {
                    try (var socket = new Socket()) {
                        assertThatThrownBy(() -> socket.connect(new InetSocketAddress(address, port()), 1000))
                                .as("%s", address)
                                .isInstanceOf(IOException.class);
                    }
                }
            }
        }
    }

    private int port() {
        return URI.create(service.url()).getPort();
    }

    private String statusLine(String header) throws IOException {
        try (Socket socket = sent("GET /who-am-i HTTP/1.1\r\n" + header + "\r\n\r\n")) {
            return new BufferedReader(new InputStreamReader(socket.getInputStream(), UTF_8)).readLine();
        }
    }

    /** All until the server closes, in whatever way. */
    private static byte[] received(Socket socket) {
        try {
            return socket.getInputStream().readAllBytes();
        } catch (IOException e) {
            return new byte[0];
        }
    }

    private Socket sent(String request) throws IOException {
        var socket = new Socket(InetAddress.getLoopbackAddress(), port());
        socket.getOutputStream().write(request.getBytes(UTF_8));
        return socket;
    }

    private String signIn(String user, String device) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(uri("/sign-in"))
                .header("User-Agent", device)
                .POST(BodyPublishers.ofString("user=" + user))
                .build();
        HttpResponse<String> response = client.send(request, BodyHandlers.ofString());
        assertThat(response.statusCode()).isEqualTo(200);
        return response.body().strip();
    }

    private HttpResponse<String> get(String path, String token) throws Exception {
        return client.send(request(path, token).GET().build(), BodyHandlers.ofString());
    }

    private HttpResponse<String> post(String path, String token, String form) throws Exception {
        return client.send(
                request(path, token).POST(BodyPublishers.ofString(form)).build(), BodyHandlers.ofString());
    }

    private HttpRequest.Builder request(String path, String token) {
        HttpRequest.Builder request = HttpRequest.newBuilder(uri(path)).timeout(Duration.ofSeconds(30));
        return token == null ? request : request.header("Authorization", "Bearer " + token);
    }

    private URI uri(String path) {
        return URI.create(service.url() + path);
    }

    private static void assertAnswer(HttpResponse<String> response, int status, String text) {
        assertThat(response.body()).isEqualTo(text + "\n");
        assertThat(response.statusCode()).isEqualTo(status);
    }
}
