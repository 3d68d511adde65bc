package dev.curfew.jdbc;

import static dev.curfew.jdbc.Fixture.HOUR;
import static dev.curfew.jdbc.Fixture.NOW;
import static dev.curfew.jdbc.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.ExtraData;
import dev.curfew.RecordField;
import dev.curfew.RevocationFeed;
import dev.curfew.Rotation.Rotated;
import dev.curfew.StoreScope;
import dev.curfew.SubjectMismatchException;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.TcpProxy;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Counts what goes over the wire, on its way to the server. */
class RoundTripsTest {

    /** The frontend's messages, cut out of what each connection sends. */
    private static final class Messages {
        private final Map<Object, ByteArrayOutputStream> pending = new ConcurrentHashMap<>();
        final AtomicInteger parsed = new AtomicInteger();
        final AtomicInteger executed = new AtomicInteger();
        final AtomicInteger roundTrips = new AtomicInteger();

        void read(Object connection, byte[] bytes) {
            boolean first = !pending.containsKey(connection);
            ByteArrayOutputStream buffer = pending.computeIfAbsent(connection, c -> new ByteArrayOutputStream());
            buffer.writeBytes(bytes);
            ByteBuffer left = ByteBuffer.wrap(buffer.toByteArray());
            // The first message, and the request for encryption before it, have no type.
            int header = first ? 0 : 1;
            while (left.remaining() >= header + 4) {
                int length = left.getInt(left.position() + header);
                if (left.remaining() < header + length) {
                    break;
                }
                if (header == 1) {
                    count((char) left.get(left.position()));
                }
                left.position(left.position() + header + length);
                header = 1;
            }
            buffer.reset();
            buffer.write(left.array(), left.position(), left.remaining());
            // A request for encryption is eight bytes long, and followed by another message without a type.
            if (first && bytes.length == 8) {
                pending.remove(connection);
            }
        }

        private void count(char type) {
            switch (type) {
                case 'P' -> parsed.incrementAndGet();
                case 'E' -> executed.incrementAndGet();
                case 'S' -> roundTrips.incrementAndGet();
                case 'Q' -> {
                    executed.incrementAndGet();
                    roundTrips.incrementAndGet();
                }
                default -> {}
            }
        }
    }

    private final Messages messages = new Messages();
    private TcpProxy proxy;

    @BeforeEach
    void listen() {
        PostgresServer server = PostgresServer.shared();
        String address = server.url().replaceAll("^jdbc:postgresql://([^/]+)/.*$", "$1");
        int colon = address.lastIndexOf(':');
        proxy = TcpProxy.to(address.substring(0, colon), Integer.parseInt(address.substring(colon + 1)));
        proxy.onRequest(messages::read);
    }

    @AfterEach
    void close() {
        proxy.close();
    }

    private String url() {
        return PostgresServer.shared()
                .url()
                .replaceAll("^jdbc:postgresql://[^/]+/", "jdbc:postgresql://localhost:" + proxy.port() + "/");
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void R3_8_everyActionIsOneStatementAndOneRoundTrip(boolean autocommit) {
        String domain = Fixture.newDomain();
        StoreScope scope = Fixture.scope(domain);
        try (HikariDataSource pool = Fixture.pool(url(), 1, autocommit);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            store.createSchema(domain);
            TokenResource tokens = Fixture.resource(store, domain);
            tokens.storeToken(token("warm", "s"));
            tokens.storeToken(token("rotated", "s"));
            store.consume(scope, "rotated", "s", Token.DEFAULT_PURPOSE, "successor", NOW);
            Token ofSession = token("again", "s").withSession("sid");
            TokenRecord again = new TokenRecord(
                    "again", "s", "p", NOW, NOW.plus(HOUR), ExtraData.of(Map.of("k", 1)), NOW, NOW, null, null, null);
            Token longer = Token.of("unknown", "s", NOW, NOW.plus(HOUR.multipliedBy(2)));
            Set<String> hundred = IntStream.range(0, 100).mapToObj(i -> "t" + i).collect(Collectors.toSet());

            Map<String, Runnable> actions = new LinkedHashMap<>();
            actions.put("store", () -> store.store(scope, again, NOW));
            actions.put("store again", () -> store.store(scope, again, NOW));
            actions.put("store for another subject", () -> {
                try {
                    tokens.storeToken(token("again", "other"));
                } catch (SubjectMismatchException e) {
                    return;
                }
                throw new AssertionError();
            });
            actions.put("get", () -> tokens.getToken("again"));
            actions.put("revoke unknown", () -> tokens.revokeToken(token("unknown", "s")));
            actions.put("revoke again", () -> tokens.revokeToken(token("unknown", "s")));
            actions.put("revoke again, for longer", () -> tokens.revokeToken(longer));
            actions.put("store revoked", () -> tokens.storeToken(token("unknown", "s")));
            actions.put("is revoked", () -> tokens.isRevoked("unknown"));
            actions.put("is not revoked", () -> tokens.isRevoked("nothing"));
            actions.put("which of a hundred are revoked", () -> tokens.isRevoked(hundred));
            actions.put("check", () -> tokens.check(token("again", "s")));
            actions.put("revoke subject", () -> tokens.revokeSubject("s"));
            actions.put("check with a watermark", () -> tokens.check(token("again", "s")));
            actions.put("check of a session", () -> tokens.check(ofSession));
            actions.put("revoke session", () -> tokens.revokeSession("sid"));
            actions.put("revoke session again", () -> tokens.revokeSession("sid"));
            actions.put("check of a revoked session", () -> tokens.check(ofSession));
            actions.put("which of a hundred sessions are revoked", () -> store.revokedSessions(scope, hundred, NOW));
            actions.put("consume for another purpose", () -> tokens.consume("again", "other"));
            actions.put("consume", () -> tokens.consume("again", "p"));
            actions.put("consume again", () -> tokens.consume("again", "p"));
            actions.put("revoke a used one", () -> tokens.revokeJti("rotated"));
            actions.put("revoke stored", () -> tokens.revokeJti("warm"));
            actions.put("list", () -> tokens.listTokens("s"));
            actions.put("a batch of revocations", () -> store.revokeStored(scope, "s", 10, NOW));
            actions.put("a page of expired ones", () -> tokens.readExpired(10));
            actions.put("a batch of the clean-up", () -> store.expunge(scope, 10, NOW));

            RevocationFeed.Sink nobody = new RevocationFeed.Sink() {
                @Override
                public void revoked(String tenant, String jti, Instant expiresAt) {}

                @Override
                public void sessionRevoked(String tenant, String session, Instant keptUntil) {}

                @Override
                public void watermark(String tenant, String subject, Instant watermark, Instant keptUntil) {}
            };
            String position = store.feed().follow(scope, null, nobody, NOW);
            actions.put("a poll of the feed", () -> store.feed().follow(scope, position, nobody, NOW));

            actions.forEach((name, action) -> {
                messages.executed.set(0);
                messages.roundTrips.set(0);
                action.run();
                // A revocation that finds the token revoked reads the record: a rotation may have used it (R14.6).
                int count = name.startsWith("revoke again") || name.equals("revoke a used one") ? 2 : 1;
                assertThat(messages.executed).as("statements of: " + name).hasValue(count);
                assertThat(messages.roundTrips).as("round trips of: " + name).hasValue(count);
            });
            tokens.close();
        }
    }

    /** A look at the presented token, a successor that is stored, and the use of the presented one. */
    @Test
    void R14_5_aRotationIsThreeStatements() {
        String domain = Fixture.newDomain();
        try (HikariDataSource pool = Fixture.pool(url(), 1);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            store.createSchema(domain);
            TokenResource tokens = Fixture.resource(store, domain);
            Token presented = token("presented", "s").withSession("sid");
            tokens.storeToken(presented);
            messages.executed.set(0);
            messages.roundTrips.set(0);
            assertThat(tokens.rotate(
                            presented,
                            Token.DEFAULT_PURPOSE,
                            token("successor", "s").withSession("sid")))
                    .isInstanceOf(Rotated.class);
            assertThat(messages.executed).hasValue(3);
            assertThat(messages.roundTrips).hasValue(3);
            tokens.close();
        }
    }

    /** It reads two keys, the record and the watermark, as if there were no sessions. */
    @Test
    void R13_3_aTokenWithoutASessionCostsNothingMore() {
        Statements statements = new Statements(null, "any", RecordField.names(Map.of()));
        assertThat(statements.get("state").sql().split("LEFT JOIN", -1)).hasSize(3);
        assertThat(statements.get("stateOfSession").sql().split("LEFT JOIN", -1))
                .hasSize(4);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void statementsArePreparedOnce(boolean autocommit) {
        String domain = Fixture.newDomain();
        try (HikariDataSource pool = Fixture.pool(url(), 1, autocommit);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            store.createSchema(domain);
            TokenResource tokens = Fixture.resource(store, domain);
            // The driver prepares what it has seen five times.
            for (int i = 0; i < 10; i++) {
                tokens.storeToken(token("t" + i, "s"));
                tokens.isRevoked("t" + i);
            }
            messages.parsed.set(0);
            for (int i = 0; i < 10; i++) {
                tokens.storeToken(token("u" + i, "s"));
                tokens.isRevoked("u" + i);
            }
            assertThat(messages.parsed).hasValue(0);
            tokens.close();
        }
    }
}
