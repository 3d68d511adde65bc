package dev.curfew.jdbc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;
import static org.awaitility.Awaitility.await;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.Deadline;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.PostgresServer;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import javax.sql.DataSource;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Who loses the deadline when the machine is short of threads: nobody. */
class DeadlinesTest {
    private static final Duration DEADLINE = Duration.ofSeconds(1);

    private final ExecutorService threads = Executors.newCachedThreadPool();

    @AfterEach
    void stop() {
        threads.shutdownNow();
    }

    @Test
    void R8_3_aCutThatFailsSparesNobodyAndIsTriedAgain() throws Exception {
        String domain = Fixture.newDomain();
        String url = PostgresServer.shared().url();
        var failing = new AtomicInteger();
        try (HikariDataSource pool = Fixture.pool(url, 4);
                JdbcTokenStore store = JdbcTokenStore.create(new LendingDataSource(pool) {
                    @Override
                    Connection lend(DataSource from) throws SQLException {
                        return ConnectionWrapper.of(from.getConnection(), "abort", (connection, arguments) -> {
                            if (failing.getAndDecrement() > 0) {
                                throw new OutOfMemoryError("unable to create native thread");
                            }
                            connection.abort((Executor) arguments[0]);
                            return null;
                        });
                    }
                });
                Connection holder = DriverManager.getConnection(url);
                Statement lock = holder.createStatement()) {
            store.createSchema(domain);
            try (TokenResource tokens = Fixture.resource(store, domain);
                    TokenResource hasty = Fixture.builder(store, domain)
                            .callDeadline(DEADLINE)
                            .build()) {
                tokens.storeToken(Fixture.token("t", "s"));
                holder.setAutoCommit(false);
                lock.execute("SELECT FROM \"curfew_" + domain + "\" FOR UPDATE");
                for (int round = 0; round < 2; round++) {
                    failing.set(5);
                    List<Future<?>> calls = new ArrayList<>();
                    for (int i = 0; i < 3; i++) {
                        calls.add(threads.submit(() -> assertThatThrownBy(() -> hasty.revokeJti("t"))
                                .isInstanceOf(TokenStoreException.class)
                                .hasMessageContaining("call deadline")));
                    }
                    for (Future<?> call : calls) {
                        call.get(30, TimeUnit.SECONDS);
                    }
                    assertThat(failing).hasNonPositiveValue();
                }
                holder.rollback();
            }
        }
    }

    /** A call that could not be watched is not begun, and what is left of it cuts nobody. */
    @Test
    void R8_3_aTimerThatCouldNotBeStartedGoesRightTheNextTime() throws Exception {
        var failing = new AtomicInteger(3);
        var cuts = new AtomicInteger();
        try (Connection real =
                        DriverManager.getConnection(PostgresServer.shared().url());
                var timeouts = new Timeouts(work -> {
                    if (failing.getAndDecrement() > 0) {
                        throw new OutOfMemoryError("unable to create native thread");
                    }
                    return Timeouts.daemon(work);
                })) {
            Connection connection = ConnectionWrapper.of(real, "abort", (wrapped, arguments) -> {
                cuts.incrementAndGet();
                return null;
            });
            for (int i = 0; i < 3; i++) {
                assertThatThrownBy(() ->
                                timeouts.perform(connection, DEADLINE.toNanos() / 2, started -> fail("was begun")))
                        .isInstanceOf(OutOfMemoryError.class);
            }
            var deadline = Deadline.after(DEADLINE);
            timeouts.perform(connection, deadline.remainingNanos(), watched -> {
                await().pollInterval(Duration.ofMillis(5)).until(() -> cuts.get() > 0);
                assertThat(deadline.isOver()).isTrue();
                return true;
            });
        }
    }

    /** The last call has not timed out, and waits for nothing any more. */
    @Test
    void R8_6_noThreadStaysUntilADeadlineThatNobodyHas() throws Exception {
        var threads = new AtomicReference<Thread>();
        try (Connection connection =
                DriverManager.getConnection(PostgresServer.shared().url())) {
            for (boolean closedMeanwhile : List.of(false, true)) {
                var timeouts = new Timeouts(work -> {
                    threads.set(Timeouts.daemon(work));
                    return threads.get();
                });
                timeouts.perform(connection, Duration.ofHours(1).toNanos(), watched -> {
                    if (closedMeanwhile) {
                        timeouts.close();
                    }
                    return true;
                });
                timeouts.close();
                assertThatThrownBy(() -> timeouts.perform(connection, DEADLINE.toNanos(), watched -> true))
                        .isInstanceOf(IllegalStateException.class);
                threads.get().join(TimeUnit.MINUTES.toMillis(1));
                assertThat(threads.get().isAlive()).isFalse();
            }
            assertThat(connection.isClosed()).isFalse();
        }
    }
}
