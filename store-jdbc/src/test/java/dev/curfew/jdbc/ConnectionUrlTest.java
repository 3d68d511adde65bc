package dev.curfew.jdbc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.InstanceOfAssertFactories.STRING;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.Driver;
import org.slf4j.LoggerFactory;

/** The driver gets from the two parts of a URL what it would get from the whole. */
class ConnectionUrlTest {
    @ParameterizedTest
    @ValueSource(
            strings = {
                "jdbc:postgresql:orders",
                "jdbc:postgresql:orders?user=ada",
                "jdbc:postgresql:?user=ada",
                "jdbc:postgresql://?user=ada",
                "jdbc:postgresql:///?user=ada",
                "jdbc:postgresql:///orders?user=ada",
                "jdbc:postgresql://host/?user=ada&password=secret",
                "jdbc:postgresql://host/orders",
                "jdbc:postgresql://host/orders?",
                "jdbc:postgresql://host/%40%26%3D+orders?user=ada",
                "jdbc:postgresql://[::1]:5433,[2001:db8::1],host,:5434/orders?user=ada",
                "jdbc:postgresql://a:1,b:65535/orders?user=ada",
                "jdbc:postgresql://host/orders?user=a+b%2B%40%C3%A9&password=p%26%3D+%25?@/#=x",
                "jdbc:postgresql://host/orders?user=first&user=second&password=1&password=2",
                "jdbc:postgresql://host/orders?&user=ada&&ssl&=&=x&password=&pass%77ord=secret",
                "jdbc:postgresql://host/orders?USER=ada&pasword=secret&sslpassword=a%20b&unknown=1",
                "jdbc:postgresql://host/orders?ApplicationName=mine&targetServerType=any&connectTimeout=7",
                "jdbc:postgresql://host/orders?options=-c%20search_path=a,b%20-c%20geqo=off&currentSchema=a,b",
                "jdbc:postgresql://?host=other&port=5433&dbname=orders&user=ada",
                "jdbc:postgresql://host/orders?HOST=other&PGPORT=5433&PGDBNAME=more&pgdbname=less&password=x",
            })
    void theDriverGetsWhatTheUserWrote(String url) {
        var defaults = new Properties();
        defaults.setProperty("ApplicationName", "curfew");
        defaults.setProperty("targetServerType", "primary");
        var taken = ConnectionUrl.of(url, defaults);
        assertThat(Driver.parseURL(taken.server(), taken.properties()))
                .isNotNull()
                .isEqualTo(Driver.parseURL(url, defaults));
        assertThat(taken.server()).doesNotContain("ada", "secret");
        assertThat(taken.createsSchema()).isTrue();
    }

    @ParameterizedTest
    @ValueSource(strings = {"?createSchema=false", "?user=ada&createSchema=false", "?createSchema=false&user=ada"})
    void ourOwnParameterDoesNotReachTheDriver(String parameters) {
        var taken = ConnectionUrl.of("jdbc:postgresql://host/orders" + parameters, new Properties());
        assertThat(taken.createsSchema()).isFalse();
        assertThat(taken.server()).isEqualTo("jdbc:postgresql://host/orders");
        assertThat(taken.properties().stringPropertyNames()).doesNotContain("createSchema");
    }

    /** Each of them was dropped without a word; the first two left a connection without TLS. */
    @ParameterizedTest
    @ValueSource(
            strings = {"sslMode=verify-full", "SSL=true", "creatSchema=false", "secret=secret", "secret", "=secret"})
    void R11_5_aSwitchThatWouldNotSwitchIsRefused(String parameter) {
        assertThatThrownBy(() -> new JdbcTokenStoreProvider()
                        .open(
                                "jdbc:postgresql://localhost:1/x?user=ada&" + parameter,
                                Fixture.DEADLINE,
                                Fixture.DEADLINE))
                .isInstanceOf(TokenStoreException.class)
                .hasFieldOrPropertyWithValue("outcome", Outcome.UNCHANGED)
                .hasMessageContainingAll("neither Curfew nor PostgreSQL's driver knows", "createSchema=true", "sslmode")
                .hasMessageNotContaining("secret")
                .hasNoCause();
    }

    /** That of a cloud's socket factory, say. */
    @Test
    void aParameterOfAClassOfTheUsersIsTaken() {
        assertThat(opening("jdbc:postgresql:///x?socketFactory=no.such.Factory&instance=a"))
                .isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "//db.invalid/x",
                "//db.invalid/x?user=secret&password=secret&sslmode=prefer",
                "//db.invalid/x?sslmode=ALLOW&ssl=true",
                "//localhost,db.invalid:5433/x?ssl=false&sslmode=disable",
                "//?host=db.invalid",
                "//db.invalid/x?sslfactory=org.postgresql.ssl.NonValidatingFactory",
                "///x?PGHOST=localhost,db.invalid&PGPORT=1,1",
            })
    void anotherHostWithoutTlsIsWarnedOfOnce(String rest) {
        assertThat(opening("jdbc:postgresql:" + rest))
                .singleElement(STRING)
                .contains("without TLS", "sslmode=verify-full")
                .doesNotContain("secret", "invalid");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "//db.invalid/x?sslmode=require",
                "//db.invalid/x?ssl=true&sslfactory=org.postgresql.ssl.NonValidatingFactory"
            })
    void anUncheckedCertificateIsWarnedOfOnce(String rest) {
        assertThat(opening("jdbc:postgresql:" + rest))
                .singleElement(STRING)
                .contains("certificate is not checked", "sslmode=verify-full")
                .doesNotContain("secret", "invalid");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "x",
                "///x",
                "//localhost:1/x",
                "//127.0.0.1:1,[::1]:1,:1/x?sslmode=disable",
                "//?host=LocalHost&port=1",
                "//db.invalid/x?sslmode=verify-full",
                "//db.invalid/x?sslmode=verify-ca",
                "//db.invalid/x?ssl=true",
                "//db.invalid/x?ssl",
            })
    void thereIsNothingToSayOfThisMachineAndOfTls(String rest) {
        assertThat(opening("jdbc:postgresql:" + rest)).isEmpty();
    }

    /** What is logged before a connection is made, which then fails. */
    private static List<String> opening(String url) {
        var logger = (Logger) LoggerFactory.getLogger(JdbcTokenStore.class);
        var lines = new ListAppender<ILoggingEvent>();
        lines.start();
        logger.addAppender(lines);
        logger.setLevel(Level.WARN);
        try {
            assertThatThrownBy(
                            () -> new JdbcTokenStoreProvider().open(url, Duration.ofSeconds(2), Duration.ofSeconds(2)))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageNotContaining("would do nothing");
        } finally {
            logger.setLevel(null);
            logger.detachAppender(lines);
        }
        return lines.list.stream().map(ILoggingEvent::getFormattedMessage).toList();
    }

    /** A name within a word of the driver's hides nothing; a name that the driver quotes hides its message. */
    @Test
    void R9_2_theDriverIsQuotedUnlessItNamesTheUser() {
        assertThatThrownBy(() -> dev.curfew.TokenResource.open("jdbc:postgresql://localhost:1/x?user=u&password=p"))
                .hasMessageContaining("refused");
        assertThatThrownBy(
                        () -> dev.curfew.TokenResource.open("jdbc:postgresql://localhost:1/x?user=u&password=refused"))
                .hasMessageNotContaining("refused")
                .hasMessageContaining("08001");
    }
}
