/**
 * Curfew's store in PostgreSQL, over JDBC.
 */
module dev.curfew.store.jdbc {
    requires static org.jspecify;
    requires transitive dev.curfew.core;
    requires transitive java.sql;
    requires com.zaxxer.hikari;
    requires org.slf4j;

    exports dev.curfew.jdbc;

    provides dev.curfew.TokenStoreProvider with
            dev.curfew.jdbc.JdbcTokenStoreProvider;
}
