package dev.curfew.examples.spring;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.RevokeOutcome;
import dev.curfew.TokenResource;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;

/** What a user of the page does, call by call. */
@SpringBootTest(webEnvironment = SpringBootTest.WebEnvironment.RANDOM_PORT)
class ApplicationTest {
    @Value("${local.server.port}")
    private int port;

    private HttpResponse<String> call(String method, String path, String token, String json) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create("http://localhost:" + port + path))
                .header("Content-Type", "application/json")
                .header("User-Agent", "a test")
                .method(method, HttpRequest.BodyPublishers.ofString(json));
        if (token != null) {
            request.header("Authorization", "Bearer " + token);
        }
        return HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString());
    }

    private static String field(String name, HttpResponse<String> response) {
        assertThat(response.statusCode()).isEqualTo(200);
        Matcher field = Pattern.compile("\"" + name + "\":\"([^\"]*)\"").matcher(response.body());
        assertThat(field.find()).isTrue();
        return field.group(1);
    }

    private HttpResponse<String> signedIn(String user) throws Exception {
        return call("POST", "/sign-in", null, "{\"user\":\"" + user + "\",\"password\":\"password\"}");
    }

    private String signIn(String user) throws Exception {
        return field("token", signedIn(user));
    }

    private HttpResponse<String> refresh(String refreshToken) throws Exception {
        return call("POST", "/refresh", null, "{\"refresh\":\"" + refreshToken + "\"}");
    }

    private int me(String token) throws Exception {
        return call("GET", "/api/me", token, "").statusCode();
    }

    @Test
    void thePageIsThere() throws Exception {
        assertThat(call("GET", "/", null, "").body()).contains("Log out everywhere");
        assertThat(call("POST", "/sign-in", null, "{\"user\":\"ada\",\"password\":\"wrong\"}").statusCode())
                .isEqualTo(401);
        assertThat(me(null)).isEqualTo(401);
    }

    @Test
    void aUserLogsOutHereThereAndEverywhere() throws Exception {
        String here = signIn("ada");
        String there = signIn("ada");
        String third = signIn("ada");
        String ofBob = signIn("bob");
        assertThat(me(here)).isEqualTo(200);

        assertThat(call("POST", "/api/logout", here, "").statusCode()).isEqualTo(204);
        assertThat(me(here)).isEqualTo(401);
        assertThat(me(there)).isEqualTo(200);

        Matcher session = Pattern.compile("\"session\":\"([^\"]*)\"")
                .matcher(call("GET", "/api/devices", there, "")
                        .body()
                        .replaceFirst("\\{[^}]*\"isThis\":true[^}]*}", ""));
        assertThat(session.find()).isTrue();
        String body = "{\"session\":\"" + session.group(1) + "\"}";
        assertThat(session.find()).as("a third device").isFalse();
        assertThat(call("POST", "/api/devices/log-out", ofBob, body).statusCode()).isEqualTo(404);
        assertThat(call("POST", "/api/devices/log-out", there, body).statusCode()).isEqualTo(204);
        assertThat(me(third)).isEqualTo(401);

        String fourth = signIn("ada");
        assertThat(call("POST", "/api/logout/others", there, "").statusCode()).isEqualTo(204);
        assertThat(me(fourth)).isEqualTo(401);
        assertThat(me(there)).isEqualTo(200);

        assertThat(call("POST", "/api/logout/everywhere", there, "").statusCode())
                .isEqualTo(204);
        assertThat(me(there)).isEqualTo(401);
        assertThat(me(ofBob)).isEqualTo(200);
        // Stored with its time of issue to the millisecond, so that it is known to be newer.
        assertThat(me(signIn("ada"))).isEqualTo(200);
    }

    @Test
    void aRefreshTokenThatComesAgainEndsItsSession() throws Exception {
        HttpResponse<String> first = signedIn("bob");
        String otherDevice = signIn("bob");
        HttpResponse<String> second = refresh(field("refresh", first));
        HttpResponse<String> third = refresh(field("refresh", second));
        assertThat(me(field("token", third))).isEqualTo(200);

        assertThat(refresh(field("refresh", first)).statusCode()).as("a thief").isEqualTo(401);
        assertThat(me(field("token", third))).isEqualTo(401);
        assertThat(refresh(field("refresh", third)).statusCode()).isEqualTo(401);
        assertThat(me(otherDevice)).isEqualTo(200);
        assertThat(refresh("none").statusCode()).isEqualTo(401);
    }

    @Test
    void aLogOutEndsTheRefreshTokenToo() throws Exception {
        HttpResponse<String> device = signedIn("bob");
        assertThat(call("POST", "/api/logout", field("token", device), "").statusCode())
                .isEqualTo(204);
        assertThat(refresh(field("refresh", device)).statusCode()).isEqualTo(401);
    }

    /** As a URL that is lost: this class path has no store but that in memory. */
    @Test
    @ExtendWith(OutputCaptureExtension.class)
    void withoutAUrlTokensAreInMemoryWithAWarning(CapturedOutput output) {
        try (var application = SpringApplication.run(Application.class, "--server.port=0", "--curfew.url=")) {
            TokenResource tokens = application.getBean(TokenResource.class);
            assertThat(tokens.revokeJti("any")).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(output).contains("Tokens are kept in memory");
        }
    }

    @Test
    void aMagicLinkWorksOnce() throws Exception {
        String body = "{\"secret\":\"" + field("secret", call("POST", "/link", null, "{\"user\":\"bob\"}")) + "\"}";
        assertThat(me(field("token", call("POST", "/link/use", null, body)))).isEqualTo(200);
        assertThat(call("POST", "/link/use", null, body).statusCode()).isEqualTo(401);
    }
}
