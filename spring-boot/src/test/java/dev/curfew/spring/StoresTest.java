package dev.curfew.spring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.curfew.RevokeOutcome;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStore;
import dev.curfew.jdbc.JdbcTokenStore;
import dev.curfew.memory.MemoryTokenStore;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.MongoServer;
import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.RedisServer;
import dev.curfew.servers.TestServer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import javax.sql.DataSource;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.SpringBootVersion;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.diagnostics.FailureAnalysis;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.datasource.DriverManagerDataSource;
import org.springframework.jdbc.datasource.LazyConnectionDataSourceProxy;
import org.springframework.jdbc.datasource.TransactionAwareDataSourceProxy;
import org.springframework.security.oauth2.jwt.BadJwtException;
import org.springframework.security.oauth2.jwt.JwtException;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/** Where the application's token resource keeps its records. */
class StoresTest {
    static final String NO_WEB = "spring.main.web-application-type=none";
    private static final Token TOKEN =
            Token.of("jti", "ada", Instant.now(), Instant.now().plusSeconds(3600));

    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class Plain {}

    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class OwnStore {
        static final MemoryTokenStore STORE = MemoryTokenStore.create();

        @Bean(destroyMethod = "")
        TokenStore store() {
            return STORE;
        }
    }

    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class ProxiedDataSource {
        @Bean
        DataSource dataSource() {
            return new TransactionAwareDataSourceProxy(
                    new DriverManagerDataSource(PostgresServer.shared().url()));
        }
    }

    @Configuration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class MarkedDataSource {
        @Bean
        DataSource application() {
            return new DriverManagerDataSource("jdbc:postgresql://localhost:1/nothing-listens-here");
        }

        @Bean
        @CurfewDataSource
        DataSource forCurfew() {
            return new DriverManagerDataSource(PostgresServer.shared().url());
        }
    }

    private static String postgres() {
        return "spring.datasource.url=" + PostgresServer.shared().url();
    }

    static String redis() {
        return "spring.data.redis.url="
                + RedisServer.shared(RedisServer.version()).url();
    }

    static String newDomain() {
        return "curfew.domain=" + Fixture.newDomain();
    }

    static FailureAnalysis analysis(Class<?> application, String... properties) {
        Throwable failure =
                catchThrowable(() -> App.start(application, properties).close());
        assertThat(failure).isNotNull();
        return new CurfewFailureAnalyzer().analyze(failure);
    }

    static void assertRevokes(App app) {
        assertThat(app.tokens().check(TOKEN)).isEqualTo(TokenStatus.ACTIVE);
        assertThat(app.tokens().revokeToken(TOKEN)).isEqualTo(RevokeOutcome.REVOKED);
        assertThat(app.tokens().check(TOKEN)).isEqualTo(TokenStatus.REVOKED);
    }

    @Test
    void theTestsRunOnTheBootThatTheyAreMeantFor() {
        assertThat(SpringBootVersion.getVersion()).isEqualTo(System.getProperty("spring-boot.version"));
    }

    @Test
    void severalStoresAreAnErrorThatSaysWhichPropertyToSet() {
        FailureAnalysis analysis = analysis(Plain.class, NO_WEB, postgres(), redis());
        assertThat(analysis.getDescription()).contains("[JDBC, REDIS]");
        assertThat(analysis.getAction()).contains("curfew.store");
    }

    @Test
    void thePropertyDecidesBetweenSeveral() {
        String domain = newDomain();
        String[] both = {
            NO_WEB, postgres(), redis(), domain, "curfew.store=redis", "curfew.jdbc.initialize-schema=always"
        };
        try (App app = App.start(Plain.class, both)) {
            assertRevokes(app);
        }
        try (App app = App.start(Plain.class, NO_WEB, redis(), domain)) {
            assertThat(app.tokens().check(TOKEN)).isEqualTo(TokenStatus.REVOKED);
        }
        both[4] = "curfew.store=jdbc";
        try (App app = App.start(Plain.class, both)) {
            assertRevokes(app);
        }
    }

    @Test
    void theApplicationsMongoDbIsTaken() {
        String url = MongoServer.shared().url();
        String uri = url;
        try (App app = App.start(
                Plain.class,
                NO_WEB,
                newDomain(),
                "spring.mongodb.uri=" + uri,
                "spring.data.mongodb.uri=" + uri,
                "spring.mongodb.database=curfew_spring",
                "spring.data.mongodb.database=curfew_spring")) {
            assertRevokes(app);
        }
    }

    @Test
    void aStoreThatIsAskedForAndNotThereIsAnError() {
        assertThat(analysis(Plain.class, NO_WEB, "curfew.store=redis").getDescription())
                .contains("connection factory of Lettuce");
        assertThat(analysis(Plain.class, NO_WEB, "curfew.store=url").getAction())
                .contains("curfew.url");
    }

    @Test
    void missingTablesAreAnErrorThatSaysWhatToDo() {
        FailureAnalysis analysis = analysis(Plain.class, NO_WEB, postgres(), newDomain());
        assertThat(analysis.getAction()).contains("curfew.jdbc.initialize-schema=always");
    }

    @Test
    void aServerThatIsNotThereIsAnErrorWithoutThePassword() {
        FailureAnalysis analysis = analysis(Plain.class, NO_WEB, "curfew.url=redis://user:secret-password@localhost:1");
        assertThat(analysis.getDescription() + analysis.getAction())
                .contains("redis://localhost")
                .doesNotContain("secret-password");
        assertThat(analysis.getAction()).startsWith("Check the host and the port");
    }

    /** The class path has the jars of all stores. Where it has the memory store alone, that is taken: see the example. */
    @Test
    void aStoreWithoutItsConnectionIsAnErrorAndNotMemory() {
        FailureAnalysis analysis = analysis(Plain.class, NO_WEB);
        assertThat(analysis.getDescription()).contains("No store is named");
        assertThat(analysis.getAction()).contains("set curfew.url");
    }

    @Test
    void theApplicationsOwnStoreIsTaken() {
        try (App app = App.start(OwnStore.class, NO_WEB, newDomain(), postgres())) {
            assertRevokes(app);
        }
        try (App app = App.start(OwnStore.class, NO_WEB, newDomain())) {
            assertRevokes(app); // it stayed open
        }
    }

    @Test
    void theMarkedDataSourceIsTaken() {
        try (App app = App.start(MarkedDataSource.class, NO_WEB, newDomain(), "curfew.jdbc.initialize-schema=always")) {
            assertRevokes(app);
        }
    }

    @Test
    void flywayGoesFirst(@TempDir Path migrations) throws Exception {
        String domain = Fixture.newDomain();
        Files.writeString(
                migrations.resolve("V1__curfew.sql"),
                JdbcTokenStore.create(new DriverManagerDataSource(postgres().replaceFirst("[^=]*=", "")))
                        .schema(domain));
        try (App app = App.start(
                Plain.class,
                NO_WEB,
                postgres(),
                "curfew.domain=" + domain,
                "spring.flyway.enabled=true",
                "spring.flyway.locations=filesystem:" + migrations,
                "spring.flyway.table=history_of_" + domain,
                "spring.flyway.baseline-on-migrate=true",
                "spring.flyway.baseline-version=0")) {
            assertRevokes(app);
        }
    }

    /** Where the store took the transaction's own connection, its commit would be the application's. */
    @Test
    void aCheckWithinATransactionDoesNotDisturbItsRollback() {
        try (App app =
                App.start(ProxiedDataSource.class, NO_WEB, newDomain(), "curfew.jdbc.initialize-schema=always")) {
            var jdbc = new JdbcTemplate(app.bean(DataSource.class));
            String table = "\"rows_" + Fixture.newDomain() + "\"";
            jdbc.execute("CREATE TABLE " + table + " (id int)");
            TokenResource tokens = app.tokens();
            new TransactionTemplate(app.bean(PlatformTransactionManager.class)).executeWithoutResult(status -> {
                jdbc.update("INSERT INTO " + table + " VALUES (1)");
                assertThat(tokens.check(TOKEN)).isEqualTo(TokenStatus.ACTIVE);
                assertThat(tokens.revokeToken(TOKEN)).isEqualTo(RevokeOutcome.REVOKED);
                status.setRollbackOnly();
            });
            assertThat(jdbc.queryForObject("SELECT count(*) FROM " + table, Integer.class))
                    .isZero();
            assertThat(tokens.check(TOKEN)).isEqualTo(TokenStatus.REVOKED);
        }
    }

    @Test
    void onlyProxiesThatKnowOfTransactionsAreTakenOff() {
        DataSource pool = new DriverManagerDataSource("jdbc:postgresql://localhost/none");
        DataSource lazy = new LazyConnectionDataSourceProxy(pool);
        assertThat(StoreChoice.plain(pool)).isSameAs(pool);
        assertThat(StoreChoice.plain(lazy)).isSameAs(lazy);
        assertThat(StoreChoice.plain(new TransactionAwareDataSourceProxy(lazy))).isSameAs(lazy);
        assertThat(StoreChoice.plain(new LazyConnectionDataSourceProxy(new TransactionAwareDataSourceProxy(pool))))
                .isSameAs(pool);
    }

    @Test
    void theDecoderForOtherThanHttpRefusesWhatIsRevoked() {
        App app = App.shared();
        var decoder = new CurfewJwtDecoder(Jwts.decoder(), app.tokens(), app.bean(JwtTokenMapper.class));
        String jwt = Jwts.of("ada");
        assertThat(decoder.decode(jwt).getSubject()).isEqualTo("ada");
        app.tokens().revokeToken(Token.peek(jwt));
        assertThatThrownBy(() -> decoder.decode(jwt)).isInstanceOf(BadJwtException.class);
        String withoutId = Jwts.signed(Jwts.claims("ada").jwtID(null));
        assertThatThrownBy(() -> decoder.decode(withoutId)).isInstanceOf(BadJwtException.class);
    }

    @ParameterizedTest
    @ValueSource(strings = {"deny", "throw"})
    void theDecoderForOtherThanHttpSaysWhenItCannotTell(String policy) {
        try (TestServer server = StoreServers.start("redis");
                App app = App.start(
                        ResourceServer.class, StoreServers.properties(server, "curfew.failure-policy=" + policy))) {
            var decoder = new CurfewJwtDecoder(Jwts.decoder(), app.tokens(), app.bean(JwtTokenMapper.class));
            server.kill();
            assertThatThrownBy(() -> decoder.decode(Jwts.of("ada"))).isExactlyInstanceOf(JwtException.class);
        }
    }
}
