package dev.curfew.jdbc;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import javax.sql.DataSource;

/** Throws away all that a session keeps, before it lends a connection. */
final class DiscardingDataSource extends LendingDataSource {
    DiscardingDataSource(DataSource pool) {
        super(pool);
    }

    @Override
    Connection lend(DataSource from) throws SQLException {
        Connection connection = from.getConnection();
        try (Statement statement = connection.createStatement()) {
            statement.execute("DISCARD ALL");
        }
        return connection;
    }
}
