package dev.curfew.benchmarks;

import com.zaxxer.hikari.HikariDataSource;
import io.lettuce.core.RedisURI;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.springframework.core.io.ClassPathResource;
import org.springframework.data.redis.connection.RedisStandaloneConfiguration;
import org.springframework.data.redis.connection.lettuce.LettuceConnectionFactory;
import org.springframework.data.redis.core.RedisTemplate;
import org.springframework.data.redis.serializer.RedisSerializer;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.support.JdbcTransactionManager;
import org.springframework.security.authentication.ott.JdbcOneTimeTokenService;
import org.springframework.security.authentication.ott.OneTimeTokenAuthenticationToken;
import org.springframework.security.oauth2.core.AuthorizationGrantType;
import org.springframework.security.oauth2.core.OAuth2AccessToken;
import org.springframework.security.oauth2.server.authorization.JdbcOAuth2AuthorizationService;
import org.springframework.security.oauth2.server.authorization.OAuth2Authorization;
import org.springframework.security.oauth2.server.authorization.OAuth2AuthorizationService;
import org.springframework.security.oauth2.server.authorization.OAuth2TokenType;
import org.springframework.security.oauth2.server.authorization.client.InMemoryRegisteredClientRepository;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClient;
import org.springframework.session.Session;
import org.springframework.session.SessionRepository;
import org.springframework.session.data.redis.RedisSessionRepository;
import org.springframework.session.jdbc.JdbcIndexedSessionRepository;
import org.springframework.transaction.support.TransactionTemplate;

/** Spring's stores of tokens and sessions, each with the schema that it ships, in a database schema of its own. */
final class SpringPeers {
    private static final int MOST = 100_000;

    private SpringPeers() {}

    /** How many a peer has where Curfew has so many. */
    static int records(int records) {
        return Math.min(records, MOST);
    }

    static Target open(String who, int records) {
        HikariDataSource pool = PostgresTargets.pool(PostgresTargets.POOL, who + records);
        var jdbc = new JdbcTemplate(pool);
        return switch (who) {
            case "authorizationserver" -> {
                var clients = new InMemoryRegisteredClientRepository(Authorizations.CLIENT);
                yield new Authorizations(new JdbcOAuth2AuthorizationService(jdbc, clients), pool);
            }
            case "session" -> {
                var transactions = new TransactionTemplate(new JdbcTransactionManager(pool));
                yield new Sessions<>(new JdbcIndexedSessionRepository(jdbc, transactions), pool::close);
            }
            case "onetimetoken" -> new OneTimeTokens(jdbc, pool);
            default -> throw new IllegalArgumentException("There is no " + who + " in PostgreSQL");
        };
    }

    static Target redisSessions() {
        LettuceConnectionFactory connections = redis();
        return new Sessions<>(redisSessions(connections), connections::destroy);
    }

    private static LettuceConnectionFactory redis() {
        RedisURI uri = RedisURI.create(Servers.redis());
        var connections = new LettuceConnectionFactory(new RedisStandaloneConfiguration(uri.getHost(), uri.getPort()));
        connections.afterPropertiesSet();
        connections.start();
        return connections;
    }

    private static RedisSessionRepository redisSessions(LettuceConnectionFactory connections) {
        // As Spring Session's own configuration makes it.
        var template = new RedisTemplate<String, Object>();
        template.setConnectionFactory(connections);
        template.setKeySerializer(RedisSerializer.string());
        template.setHashKeySerializer(RedisSerializer.string());
        template.afterPropertiesSet();
        return new RedisSessionRepository(template);
    }

    // How they are filled: one row by Spring itself, the others as copies of it; in Redis, each by Spring.

    static void fill(String who, int records) {
        String schema = who + records;
        try (HikariDataSource plain = PostgresTargets.pool(1);
                HikariDataSource pool = PostgresTargets.pool(1, schema)) {
            PostgresTargets.run(plain, "CREATE SCHEMA " + schema);
            PostgresTargets.run(pool, ddl(who));
            try (Target target = open(who, records)) {
                target.store("template");
            }
            PostgresTargets.run(pool, copies(who, records));
            PostgresTargets.run(plain, "VACUUM ANALYZE");
        }
    }

    static void fillRedis(int records) {
        LettuceConnectionFactory connections = redis();
        RedisSessionRepository sessions = redisSessions(connections);
        var next = new AtomicInteger();
        sessions.setSessionIdGenerator(() -> Data.jti(next.getAndIncrement()));
        Load.each(records(records), i -> Sessions.store(sessions));
        connections.destroy();
    }

    private static String ddl(String who) {
        String security = "org/springframework/security/";
        return switch (who) {
            // As the file itself says: with PostgreSQL, text in place of blob.
            case "authorizationserver" ->
                resource(security + "oauth2/server/authorization/oauth2-authorization-schema.sql")
                        .replace(" blob ", " text ");
            case "session" -> resource("org/springframework/session/jdbc/schema-postgresql.sql");
            // A type that PostgreSQL does not have.
            default ->
                resource(security + "core/ott/jdbc/one-time-tokens-schema.sql")
                        .replace("varchar_ignorecase", "varchar");
        };
    }

    private static String resource(String name) {
        try {
            return new ClassPathResource(name).getContentAsString(StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String copies(String who, int records) {
        String jti = "md5(i::text)::uuid::text";
        String numbers = " FROM generate_series(0, " + (records(records) - 1) + ") i ";
        return switch (who) {
            case "authorizationserver" ->
                "CREATE TEMPORARY TABLE one AS SELECT * FROM oauth2_authorization;"
                        + "INSERT INTO oauth2_authorization SELECT (json_populate_record(one, json_build_object('id', "
                        + jti
                        + ", 'access_token_value', " + jti + "))).*" + numbers + ", one";
            case "session" ->
                "CREATE TEMPORARY TABLE one AS SELECT * FROM spring_session;"
                        + "CREATE TEMPORARY TABLE its AS SELECT * FROM spring_session_attributes;"
                        + "INSERT INTO spring_session SELECT (json_populate_record(one, json_build_object('primary_id', "
                        + jti + ", 'session_id', " + jti + "))).*" + numbers + ", one;"
                        + "INSERT INTO spring_session_attributes SELECT " + jti
                        + ", attribute_name, attribute_bytes" + numbers + ", its";
            default ->
                "INSERT INTO one_time_tokens SELECT " + jti + ", 'subject-' || i, now() + interval '30 days'" + numbers;
        };
    }

    private record Authorizations(OAuth2AuthorizationService service, HikariDataSource pool) implements Target {
        private static final RegisteredClient CLIENT = RegisteredClient.withId("client")
                .clientId("client")
                .clientSecret("{noop}secret")
                .authorizationGrantType(AuthorizationGrantType.CLIENT_CREDENTIALS)
                .build();
        private static final Instant NOW = Data.now();

        @Override
        public Object find(String jti) {
            return found(service.findByToken(jti, OAuth2TokenType.ACCESS_TOKEN));
        }

        @Override
        public Object store(String jti) {
            service.save(OAuth2Authorization.withRegisteredClient(CLIENT)
                    .id(jti)
                    .principalName(jti)
                    .authorizationGrantType(AuthorizationGrantType.CLIENT_CREDENTIALS)
                    .token(new OAuth2AccessToken(OAuth2AccessToken.TokenType.BEARER, jti, NOW, NOW.plus(Data.LIFETIME)))
                    .build());
            return jti;
        }

        @Override
        public void close() {
            pool.close();
        }
    }

    private record OneTimeTokens(JdbcTemplate jdbc, HikariDataSource pool) implements Target {
        /** It makes the names of its tokens itself: this one is inserted as it would insert it. */
        @Override
        public Object store(String jti) {
            return jdbc.update("INSERT INTO one_time_tokens VALUES (?, ?, now() + interval '1 day')", jti, jti);
        }

        @Override
        public Object consume(String jti) {
            return found(new JdbcOneTimeTokenService(jdbc).consume(new OneTimeTokenAuthenticationToken(jti)));
        }

        @Override
        public void close() {
            pool.close();
        }
    }

    private record Sessions<S extends Session>(SessionRepository<S> sessions, Runnable end) implements Target {
        @Override
        public Object find(String jti) {
            return found(sessions.findById(jti));
        }

        /** It makes its names itself. */
        @Override
        public Object store(String jti) {
            return store(sessions);
        }

        static <S extends Session> Object store(SessionRepository<S> sessions) {
            S session = sessions.createSession();
            session.setMaxInactiveInterval(Data.LIFETIME);
            session.setAttribute("user", "subject");
            sessions.save(session);
            return session;
        }

        @Override
        public void close() {
            end.run();
        }
    }

    private static Object found(@Nullable Object answer) {
        if (answer == null) {
            throw new IllegalStateException("What is stored was not found");
        }
        return answer;
    }
}
