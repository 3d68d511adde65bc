package dev.curfew.spring;

import static dev.curfew.spring.Answers.assertAccepted;
import static dev.curfew.spring.Answers.assertLoggedOut;
import static dev.curfew.spring.Answers.assertRevoked;

import dev.curfew.Token;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a log-out ends. */
class LogoutTest {

    private static String of(String subject, String session) {
        return Jwts.signed(Jwts.claims(subject).claim("sid", session));
    }

    @ParameterizedTest
    @CsvSource({"servlet", "reactive"})
    void aSessionOrTheOthersEnd(String type) {
        try (App app = App.start(
                type.equals("servlet") ? ResourceServer.class : ReactiveTest.ReactiveServer.class,
                Jwts.publicKeyProperty(),
                "curfew.url=memory:",
                "spring.main.web-application-type=" + type,
                "curfew.logout.ends=session",
                "curfew.logout.other-sessions-path=/logout/others")) {
            // The tokens of one session, and no other.
            String phone = of("ada", "phone");
            String ofThePhone = of("ada", "phone");
            String laptop = of("ada", "laptop");
            String withoutSession = Jwts.of("ada");
            assertLoggedOut(app.post("/logout", phone));
            assertLoggedOut(app.post("/logout", phone));
            assertRevoked(app.get("/hello", phone));
            assertRevoked(app.get("/hello", ofThePhone));
            assertRevoked(app.get("/hello", of("ada", "phone")));
            assertAccepted(app.get("/hello", laptop));
            assertAccepted(app.get("/hello", withoutSession));

            // The stored tokens of the other sessions. A revoked token ends nobody's.
            String tablet = of("ada", "tablet");
            String notStored = of("ada", "watch");
            String ofBob = of("bob", "laptop");
            List.of(laptop, tablet, ofBob)
                    .forEach(each -> app.tokens().storeToken(Token.peek(each)));
            assertRevoked(app.post("/logout/others", phone));
            assertAccepted(app.get("/hello", tablet));
            assertLoggedOut(app.post("/logout/others", laptop));
            assertRevoked(app.get("/hello", tablet));
            assertAccepted(app.get("/hello", laptop));
            assertAccepted(app.get("/hello", notStored));
            assertAccepted(app.get("/hello", ofBob));

            // Without a session: this token.
            assertLoggedOut(app.post("/logout/others", withoutSession));
            assertRevoked(app.get("/hello", withoutSession));
            String another = Jwts.of("ada");
            assertLoggedOut(app.post("/logout", another));
            assertRevoked(app.get("/hello", another));
            assertAccepted(app.get("/hello", laptop));
        }
    }

    /** What an introspection answers as {@code sid}. */
    @Test
    void anOpaqueTokenHasASession() {
        try (App app = App.start(Shapes.OpaqueTokens.class, "curfew.url=memory:", "curfew.logout.ends=session")) {
            assertLoggedOut(app.post("/logout", "opaque-1.phone"));
            assertRevoked(app.get("/hello", "opaque-2.phone"));
            assertAccepted(app.get("/hello", "opaque-3"));
        }
    }
}
