package dev.curfew.jdbc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.TcpProxy;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
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
        PostgresServer server = PostgresServer.start(Map.of());
        var failing = new AtomicInteger(5);
        try (server;
                TcpProxy proxy = TcpProxy.to("localhost", server.port());
                HikariDataSource pool = Fixture.pool(PostgresServer.url("localhost", proxy.port()), 8);
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
                })) {
            store.createSchema(domain);
            try (TokenResource tokens =
                    Fixture.builder(store, domain).callDeadline(DEADLINE).build()) {
                for (int round = 0; round < 2; round++) {
                    proxy.swallowExisting();
                    List<Future<?>> calls = new ArrayList<>();
                    for (int i = 0; i < 3; i++) {
                        calls.add(threads.submit(() -> assertThatThrownBy(() -> tokens.revokeJti("t"))
                                .isInstanceOf(TokenStoreException.class)));
                    }
                    for (Future<?> call : calls) {
                        call.get(10, TimeUnit.SECONDS);
                    }
                    await().ignoreException(TokenStoreException.class).until(() -> !tokens.isRevoked("nobody"));
                }
                assertThat(failing).hasNonPositiveValue();
            }
        }
    }

    /** Ticks that were scheduled twice would end every call at half of its time. */
    @Test
    void R8_3_aClockThatCouldNotBeStartedGoesRightTheNextTime() {
        var failing = new AtomicInteger(3);
        try (var deadlines = new Deadlines(work -> {
            if (failing.getAndDecrement() > 0) {
                throw new OutOfMemoryError("unable to create native thread");
            }
            var thread = new Thread(work);
            thread.setDaemon(true);
            return thread;
        })) {
            for (int i = 0; i < 3; i++) {
                assertThatThrownBy(() -> deadlines.begin(DEADLINE, false)).isInstanceOf(OutOfMemoryError.class);
            }
            long start = System.nanoTime();
            try (Deadlines.Call call = deadlines.begin(DEADLINE, false)) {
                await().pollInterval(Duration.ofMillis(5)).until(call::isOver);
            }
            assertThat(Duration.ofNanos(System.nanoTime() - start))
                    .isGreaterThan(DEADLINE.multipliedBy(9).dividedBy(10));
        }
    }
}
