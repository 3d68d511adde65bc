package dev.curfew.spring;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.http.HttpResponse;

/** What a resource server answers. */
final class Answers {
    private Answers() {}

    static void assertAccepted(HttpResponse<String> response) {
        assertThat(response.statusCode()).isEqualTo(200);
    }

    /** RFC 6750 section 3. Spring Security 7 adds where the metadata of the resource are. */
    static void assertRevoked(HttpResponse<String> response) {
        assertThat(response.statusCode()).isEqualTo(401);
        assertThat(response.headers().allValues("WWW-Authenticate")).hasSize(1);
        assertThat(response.headers()
                        .firstValue("WWW-Authenticate")
                        .orElseThrow()
                        .replaceFirst(", resource_metadata=\"[^\"]*\"", ""))
                .isEqualTo("Bearer error=\"invalid_token\"");
    }

    static void assertUnavailable(HttpResponse<String> response) {
        assertThat(response.statusCode()).isEqualTo(503);
        assertThat(response.headers().firstValue("Retry-After")).hasValue("1");
        assertThat(response.headers().firstValue("WWW-Authenticate")).isEmpty();
    }

    static void assertLoggedOut(HttpResponse<String> response) {
        assertThat(response.statusCode()).isEqualTo(204);
    }
}
