package dev.curfew.jdbc;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Properties;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.Driver;

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
        var taken = new ConnectionUrl(url, defaults);
        assertThat(Driver.parseURL(taken.server(), taken.properties()))
                .isNotNull()
                .isEqualTo(Driver.parseURL(url, defaults));
        assertThat(taken.server()).doesNotContain("ada", "secret");
        assertThat(taken.createsSchema()).isTrue();
    }

    @ParameterizedTest
    @ValueSource(strings = {"?createSchema=false", "?user=ada&createSchema=false", "?createSchema=false&user=ada"})
    void ourOwnParameterDoesNotReachTheDriver(String parameters) {
        var taken = new ConnectionUrl("jdbc:postgresql://host/orders" + parameters, new Properties());
        assertThat(taken.createsSchema()).isFalse();
        assertThat(taken.server()).isEqualTo("jdbc:postgresql://host/orders");
        assertThat(taken.properties().stringPropertyNames()).doesNotContain("createSchema");
    }
}
