package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.Consumption.Refused;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.Test;

/** Section R10 of CONTRACT.md: isolation. */
abstract class R10Isolation extends R9Input {

    @Test
    final void R10_1_domainsAndTenantsNeverSeeEachOthersRecords() {
        String base = domain;
        List<List<String>> neighbours = new ArrayList<>();
        // Each has two pairs of (domain, tenant). A store that joins names carelessly takes one pair for the other.
        for (String separator :
                List.of(":", "/", ".", "|", "_", "-", " ", "{", "}", "\\", "'", "\"", "`", ",", "\u2028")) {
            neighbours.add(List.of(base, "b" + separator + "c", base + separator + "b", "c"));
            neighbours.add(List.of(base, separator, base, separator + separator));
        }
        neighbours.add(List.of(base, "", base, "t"));
        neighbours.add(List.of(base, "t", base, "T"));
        neighbours.add(List.of(base, "*", base, "abc"));
        neighbours.add(List.of(base, "%", base, "abc"));
        neighbours.add(List.of(base, "_", base, "a"));
        neighbours.add(List.of(base, "?", base, "a"));
        neighbours.add(List.of(base, "[a]", base, "a"));
        neighbours.add(List.of(base, "null", base, ""));
        neighbours.add(List.of(base + "a", "", base + "A", ""));
        // These names differ in their last byte alone. A database may have cut it off.
        String longest = base + "x".repeat(63 - base.length());
        neighbours.add(List.of(longest + "a", "", longest + "b", ""));
        neighbours.add(List.of(base, "x".repeat(127) + "a", base, "x".repeat(127) + "b"));
        int n = 0;
        for (List<String> pair : neighbours) {
            // The records of a tenant stay for the next pair, so each pair has a jti and a subject of its own.
            assertApart(pair.get(0), pair.get(1), pair.get(2), pair.get(3), n++);
            assertApart(pair.get(2), pair.get(3), pair.get(0), pair.get(1), n++);
        }
    }

    private void assertApart(String domainA, String tenantA, String domainB, String tenantB, int n) {
        try (TokenResource rootA = resource(domainA, store);
                TokenResource rootB = resource(domainB, store)) {
            TokenResource a = rootA.forTenant(tenantA);
            TokenResource b = rootB.forTenant(tenantB);
            String as = "(%s, %s) seen from (%s, %s)".formatted(domainA, tenantA, domainB, tenantB);
            String jti = "j" + n;
            String subject = "s" + n;
            Token token = token(jti, subject, HOUR).withSession("s" + n);
            a.storeToken(token, "link");
            assertThat(b.inspect(jti)).as("inspect, %s", as).isEmpty();
            assertThat(b.listTokens(subject)).as("listTokens, %s", as).isEmpty();
            assertThat(b.consume(jti, "link")).as("consume, %s", as).isEqualTo(Refused.UNKNOWN);
            assertThat(b.revokeAllStoredForSubject(subject))
                    .as("revokeAllStoredForSubject, %s", as)
                    .isZero();
            b.revokeSubject(subject);
            assertThat(b.revokeSession("s" + n)).as("revokeSession, %s", as).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(a.check(token)).as("check, %s", as).isEqualTo(TokenStatus.ACTIVE);
            assertThat(b.revokeToken(token)).as("revokeToken, %s", as).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(a.isRevoked(jti)).as("isRevoked, %s", as).isFalse();
            assertThat(a.isRevoked(Set.of(jti))).as("isRevoked, %s", as).isEmpty();
            assertThat(a.getToken(jti)).as("getToken, %s", as).isPresent();
            a.storeToken(token("e" + n, subject, Duration.ofMillis(1)));
            Instant before = clock.instant();
            clock.advance(Duration.ofMillis(1).plus(SKEW));
            assertThat(b.readExpired(1000).stream().map(TokenRecord::jti))
                    .as("readExpired, %s", as)
                    .doesNotContain("e" + n);
            clock.set(before);
        }
    }

    /** A store that joins the tenant and an id carelessly takes (a, b:x) for (a:b, x). */
    @Test
    final void R10_1_aTenantIsNoPartOfAnId() {
        int n = 0;
        for (String separator :
                List.of(":", "/", ".", "|", "_", "-", " ", "{", "}", "#", "@", "%", "\\", "'", "\"", ",")) {
            n++;
            TokenResource a = tokens.forTenant("a" + n);
            TokenResource b = tokens.forTenant("a" + n + separator + "b");
            Token token = token("x", "x", HOUR).withSession("x");
            String id = "b" + separator + "x";
            b.storeToken(token, "link");
            a.revokeJti(id);
            a.revokeSubject(id);
            a.revokeSession(id);
            assertThat(b.check(token)).as("check, separator '%s'", separator).isEqualTo(TokenStatus.ACTIVE);
            assertThat(b.getToken("x"))
                    .as("getToken, separator '%s'", separator)
                    .isPresent();
        }
    }

    /** Two tenants and two domains have a token of the same jti and subject. A verb changes one token, and no other. */
    @Test
    final void R10_1_whatIsDoneToATokenIsNotDoneToItsNamesakes() {
        Map<String, BiConsumer<TokenResource, Token>> changes = new LinkedHashMap<>();
        changes.put("storeToken", (r, t) -> r.storeToken(token(t.jti(), t.subject(), HOUR.multipliedBy(2)), "other"));
        changes.put("revokeToken", TokenResource::revokeToken);
        changes.put("revokeJti", (r, t) -> r.revokeJti(t.jti()));
        changes.put("consume", (r, t) -> r.consume(t.jti(), "link"));
        changes.put(
                "revokeAllStoredForSubject",
                (r, t) -> assertThat(r.revokeAllStoredForSubject(t.subject()))
                        .as("revokeAllStoredForSubject")
                        .isEqualTo(1));
        try (TokenResource otherDomain = resource(domain + "-other", store)) {
            store.prepare(new StoreScope(domain + "-other", "", SKEW, deadline()));
            List<TokenResource> namesakes =
                    List.of(tokens.forTenant("a"), tokens.forTenant("b"), otherDomain.forTenant("a"));
            changes.forEach((name, change) -> {
                Token token = token("jti of " + name, "subject of " + name, HOUR);
                namesakes.forEach(r -> r.storeToken(token, "link", Map.of("k", 1)));
                TokenRecord before = namesakes.get(1).inspect(token.jti()).orElseThrow();
                clock.advance(Duration.ofSeconds(1));
                change.accept(namesakes.get(0), token);
                for (TokenResource other : namesakes.subList(1, 3)) {
                    assertThat(other.inspect(token.jti()).filter(before::equals).isPresent())
                            .as("a namesake is as it was after %s", name)
                            .isTrue();
                }
            });
        }
    }
}
