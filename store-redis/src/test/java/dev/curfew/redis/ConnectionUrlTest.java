package dev.curfew.redis;

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
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;

/** The parameters of a URL, and the warnings before anything is sent. */
class ConnectionUrlTest {
    @Test
    void itsOwnParametersAreTakenOutWhereverTheyStand() {
        for (String url : List.of(
                "redis://host/1?strictDurability=true&minReplicas=2&clientName=a",
                "redis://host/1?MINREPLICAS=2&clientName=a&strictdurability=TRUE",
                "redis://host/1?&clientName=a;minReplicas=02;strictDurability=true&")) {
            var taken = new ConnectionUrl(url);
            assertThat(taken.strictDurability()).as(url).isTrue();
            assertThat(taken.minReplicas()).as(url).isEqualTo(2);
            assertThat(taken.plain()).isEqualTo("redis://host/1?clientName=a");
        }
        var plain = new ConnectionUrl("redis://host/1?strictDurability=false");
        assertThat(plain.strictDurability()).isFalse();
        assertThat(plain.minReplicas()).isZero();
        assertThat(plain.plain()).isEqualTo("redis://host/1");
        assertThat(new ConnectionUrl("redis://host").plain()).isEqualTo("redis://host");
    }

    /** Each of these URLs once opened a store without the safeguard. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "strictDurability",
                "strictDurability=",
                "strictDurability=1",
                "strictDurability=yes",
                "strictDurability=true%20",
                "strictDurability=true&strictDurability=false",
                "strict-durability=true",
                "strictDurablity=true",
                "%73trictDurability=true",
                "clientName=a;strictDurable=true",
                "minReplica=1",
                "minReplicas",
                "minReplicas=",
                "minReplicas=-1",
                "minReplicas=1&minReplicas=0",
                "DB=1",
                "db",
                "verifypeers=NONE",
                "ssl=true",
                "password=secret",
                "secret=secret",
                "=",
            })
    void R11_5_aSwitchThatWouldNotSwitchIsRefused(String parameters) {
        assertThatThrownBy(() -> opened("redis://:secret@localhost/0?" + parameters))
                .isInstanceOf(TokenStoreException.class)
                .hasFieldOrPropertyWithValue("outcome", Outcome.UNCHANGED)
                .hasMessageContainingAll("strictDurability=true", "minReplicas=1", "verifyPeer")
                .hasMessageNotContaining("secret")
                .hasNoCause();
    }

    @Test
    void everyParameterOfTheDriverIsTaken() {
        assertThat(opened("rediss://localhost?timeout=1s&database=1&db=1&clientName=a&libraryName=b&libraryVersion=c"
                        + "&VERIFYPEER=ca&sentinelMasterId=m"))
                .isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "redis://secret:secret@db.example.invalid",
                "redis://10.0.0.1:6379/0",
                "redis://localhost.example.invalid",
                "redis-sentinel://localhost,db.example.invalid/0?sentinelMasterId=m",
                "redis-cluster://localhost:7000,db.example.invalid:7001",
            })
    void anotherHostWithoutTlsIsWarnedOfOnce(String url) {
        assertThat(opened(url))
                .singleElement(STRING)
                .contains("without TLS", "rediss://", "rediss-sentinel://", "rediss-cluster://")
                .doesNotContain("secret", "example");
    }

    @Test
    void anUncheckedCertificateIsWarnedOfOnce() {
        for (String url : List.of(
                "rediss://secret:secret@db.example.invalid?verifyPeer=NONE",
                "rediss-sentinel://db.example.invalid/0?sentinelMasterId=m&verifypeer=none",
                "rediss-cluster://db.example.invalid,localhost?verifyPeer=none")) {
            assertThat(opened(url))
                    .singleElement(STRING)
                    .contains("verifyPeer=NONE", "trustStore")
                    .doesNotContain("secret", "example");
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "redis://secret:secret@localhost:6379/0",
                "redis://127.0.0.1",
                "redis://127.1.2.3",
                "redis://[::1]:6379",
                "redis-sentinel://localhost,LOCALHOST:26380/0?sentinelMasterId=m",
                "redis-cluster://127.0.0.1:7000,localhost:7001",
                "rediss://localhost?verifyPeer=NONE",
                "rediss://db.example.invalid",
                "rediss://db.example.invalid?verifyPeer=CA",
                "rediss-sentinel://db.example.invalid/0?sentinelMasterId=m",
                "rediss-cluster://db.example.invalid",
            })
    void thereIsNothingToSayOfThisMachineAndOfTls(String url) {
        assertThat(opened(url)).isEmpty();
    }

    /** The lines that are logged when the store is opened; no server is asked yet. */
    private static List<String> opened(String url) {
        var logger = (Logger) LoggerFactory.getLogger(RedisTokenStore.class);
        var lines = new ListAppender<ILoggingEvent>();
        lines.start();
        logger.addAppender(lines);
        logger.setLevel(Level.WARN);
        try {
            new RedisTokenStoreProvider()
                    .open(url, Duration.ofSeconds(2), Duration.ofSeconds(2))
                    .close();
        } finally {
            logger.setLevel(null);
            logger.detachAppender(lines);
        }
        return lines.list.stream().map(ILoggingEvent::getFormattedMessage).toList();
    }
}
