package dev.curfew.benchmarks;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** On the PostgreSQL of {@link Servers}, through one pool. */
final class PostgresTargets {
    /** As many connections as there are threads at the most. */
    static final int POOL = 16;

    private PostgresTargets() {}

    static Target open(String who, Clients clients, int records) {
        return who.equals("limit")
                ? new JdbcLimit(clients.pool(), table(Data.domain(records)))
                : SpringPeers.open(who, records);
    }

    static HikariDataSource pool(int size) {
        return pool(size, "public");
    }

    static HikariDataSource pool(int size, String schema) {
        var config = new HikariConfig();
        config.setJdbcUrl(Servers.postgres());
        config.setMaximumPoolSize(size);
        config.setSchema(schema);
        return new HikariDataSource(config);
    }

    static String table(String domain) {
        return "\"curfew_" + domain + "\"";
    }

    /** One statement, or several, without an answer. */
    static void run(HikariDataSource pool, String sql) {
        try (Connection connection = pool.getConnection();
                Statement statement = connection.createStatement()) {
            statement.execute(sql);
        } catch (SQLException e) {
            throw new IllegalStateException(sql, e);
        }
    }

    /** One value. */
    static String text(HikariDataSource pool, String sql) {
        try (Connection connection = pool.getConnection();
                Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(sql)) {
            rows.next();
            return rows.getString(1);
        } catch (SQLException e) {
            throw new IllegalStateException(sql, e);
        }
    }

    /** The bare statements, prepared, on Curfew's own tables. */
    private static final class JdbcLimit implements Target {
        private final HikariDataSource pool;
        private final String isRevoked;
        private final String revoked;
        private final String check;
        private final String store;
        private final String revoke;
        private final String consume;
        private final OffsetDateTime now = Data.now().atOffset(ZoneOffset.UTC);
        private final OffsetDateTime end = now.plus(Data.LIFETIME);

        JdbcLimit(HikariDataSource pool, String table) {
            this.pool = pool;
            String watermarks = table.substring(0, table.length() - 1) + "_watermarks\"";
            this.isRevoked = "SELECT 1 FROM " + table + " WHERE tenant = ? AND jti = ? AND revoked_at IS NOT NULL";
            this.revoked =
                    "SELECT jti FROM " + table + " WHERE tenant = ? AND jti = ANY (?) AND revoked_at IS NOT NULL";
            this.check = "SELECT t.revoked_at, w.watermark FROM (SELECT ?::text AS tenant, ?::text AS jti,"
                    + " ?::text AS subject) g LEFT JOIN " + table + " t ON t.tenant = g.tenant AND t.jti = g.jti"
                    + " LEFT JOIN " + watermarks + " w ON w.tenant = g.tenant AND w.subject = g.subject";
            String insert = "INSERT INTO " + table
                    + " (tenant, jti, subject, purpose, issued_at, expires_at, created_at, updated_at, revoked_at)"
                    + " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ";
            this.store = insert + "NULL) ON CONFLICT DO NOTHING";
            this.revoke = insert + "now()) ON CONFLICT DO NOTHING";
            this.consume = "UPDATE " + table + " SET revoked_at = ?, updated_at = ? WHERE tenant = ? AND jti = ?"
                    + " AND purpose = ? AND revoked_at IS NULL AND expires_at > ? RETURNING jti, subject, purpose,"
                    + " issued_at, expires_at, extra_data, created_at, updated_at, revoked_at";
        }

        private interface Reader {
            Object read(ResultSet rows) throws SQLException;
        }

        private Object query(String sql, Reader reader, Object... parameters) {
            try (Connection connection = pool.getConnection();
                    PreparedStatement statement = connection.prepareStatement(sql)) {
                bind(statement, parameters);
                try (ResultSet rows = statement.executeQuery()) {
                    return reader.read(rows);
                }
            } catch (SQLException e) {
                throw new IllegalStateException(e);
            }
        }

        private Object update(String sql, Object... parameters) {
            try (Connection connection = pool.getConnection();
                    PreparedStatement statement = connection.prepareStatement(sql)) {
                bind(statement, parameters);
                return statement.executeUpdate();
            } catch (SQLException e) {
                throw new IllegalStateException(e);
            }
        }

        private static void bind(PreparedStatement statement, Object... parameters) throws SQLException {
            for (int i = 0; i < parameters.length; i++) {
                if (parameters[i] instanceof String text) {
                    statement.setString(i + 1, text);
                } else {
                    statement.setObject(i + 1, parameters[i]);
                }
            }
        }

        @Override
        public Object isRevoked(String jti) {
            return query(isRevoked, ResultSet::next, "", jti);
        }

        @Override
        public Object revoked(List<String> jtis) {
            Reader reader = rows -> {
                Set<String> found = new HashSet<>();
                while (rows.next()) {
                    found.add(rows.getString(1));
                }
                return found;
            };
            return query(revoked, reader, "", jtis.toArray(String[]::new));
        }

        @Override
        public Object check(String jti, String subject) {
            Reader reader = rows -> {
                rows.next();
                return rows.getString(1) == null && rows.getString(2) == null;
            };
            return query(check, reader, "", jti, subject);
        }

        @Override
        public Object store(String jti) {
            return update(store, "", jti, jti, "user", now, end, now, now);
        }

        @Override
        public Object revoke(String jti) {
            return update(revoke, "", jti, jti, "revocation", now, end, now, now);
        }

        @Override
        public Object consume(String jti) {
            Reader reader = rows -> {
                if (!rows.next()) {
                    throw new IllegalStateException("A token that was just stored could not be used");
                }
                StringBuilder record = new StringBuilder();
                for (int i = 1; i <= 9; i++) {
                    record.append(rows.getString(i));
                }
                return record;
            };
            return query(consume, reader, now, now, "", jti, "user", now);
        }

        @Override
        public void close() {} // the pool is everybody's
    }
}
