package dev.curfew.redis;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisServer;
import io.lettuce.core.RedisClient;
import java.util.Map;
import java.util.UUID;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.Test;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Measures the memory that the page on Redis tells of; run by its name. */
class MemoryMeasurement {
    private static final Logger LOG = LoggerFactory.getLogger(MemoryMeasurement.class);
    private static final int MANY = 20_000;

    private final String domain = "tokens";
    private String listpack = "64";

    @Test
    void bytes() {
        measure("revoked, never stored", (tokens, i) -> tokens.revokeToken(token(i)));
        measure("stored, one subject each", (tokens, i) -> tokens.storeToken(token(i)));
        measure("stored, ten to a subject", (tokens, i) -> tokens.storeToken(token(i, i / 10)));
        measure(
                "stored, with 100 bytes of extra data",
                (tokens, i) -> tokens.storeToken(token(i), "user", Map.of("k", "x".repeat(92))));
        measure(
                "stored, with 1,000 bytes of extra data",
                (tokens, i) -> tokens.storeToken(token(i), "user", Map.of("k", "x".repeat(992))));
        listpack = "1024";
        measure(
                "the same with 100, and hash-max-listpack-value 1024",
                (tokens, i) -> tokens.storeToken(token(i), "user", Map.of("k", "x".repeat(92))));
        listpack = "64";
        measure("stored and revoked", (tokens, i) -> {
            tokens.storeToken(token(i));
            tokens.revokeToken(token(i));
        });
        measure("stored, one subject each, in a session", (tokens, i) -> tokens.storeToken(ofSession(i)));
        measure("a revoked session", (tokens, i) -> tokens.revokeSession(session(i)));
        measure("a watermark", (tokens, i) -> tokens.revokeSubject("user-" + (100_000 + i)));
    }

    private static Token ofSession(int i) {
        return token(i).withSession(session(i));
    }

    private static String session(int i) {
        return new UUID(8, i).toString();
    }

    private static Token token(int i) {
        return token(i, i);
    }

    private static Token token(int i, int subject) {
        return Token.of(
                new UUID(7, i).toString(), "user-" + (100_000 + subject), Fixture.NOW, Fixture.NOW.plus(Fixture.HOUR));
    }

    private void measure(String what, BiConsumer<TokenResource, Integer> action) {
        try (RedisServer server = RedisServer.start(
                RedisServer.version(), Map.of("appendonly", "no", "hash-max-listpack-value", listpack))) {
            var client = RedisClient.create(server.url());
            try (RedisTokenStore store = RedisTokenStore.create(client);
                    TokenResource tokens = Fixture.resource(store, domain)) {
                tokens.isRevoked("warm");
                long before = Long.parseLong(server.info("used_memory"));
                for (int i = 0; i < MANY; i++) {
                    action.accept(tokens, i);
                }
                long each = (Long.parseLong(server.info("used_memory")) - before) / MANY;
                Object key = server.command("RANDOMKEY");
                String record = Keys.of(Fixture.scope(domain)).record(new UUID(7, 42).toString());
                String index = Keys.of(Fixture.scope(domain)).index("user-100004");
                LOG.info(
                        "{}: {} bytes of used_memory each; MEMORY USAGE of a record {}, an index {}, any key {}",
                        what,
                        each,
                        server.command("MEMORY", "USAGE", record),
                        server.command("MEMORY", "USAGE", index),
                        server.command("MEMORY", "USAGE", String.valueOf(key)));
                assertThat(each).isPositive();
            }
            client.shutdown();
        }
    }
}
