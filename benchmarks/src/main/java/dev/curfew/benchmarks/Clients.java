package dev.curfew.benchmarks;

import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoClients;
import com.zaxxer.hikari.HikariDataSource;
import io.lettuce.core.RedisClient;
import io.lettuce.core.resource.ClientResources;
import io.lettuce.core.resource.DefaultClientResources;
import java.util.ArrayDeque;
import java.util.Deque;
import org.jspecify.annotations.Nullable;

/**
 * The clients of one JVM, each made when it is first asked for. Who takes turns has the same one, as an application has
 * one for all that it does: the same pool, the same threads, and so the same luck with the processors.
 */
final class Clients implements AutoCloseable {
    private final Deque<Runnable> closes = new ArrayDeque<>();
    private @Nullable HikariDataSource pool;
    private @Nullable RedisClient redis;
    private @Nullable MongoClient mongo;

    HikariDataSource pool() {
        if (pool == null) {
            pool = PostgresTargets.pool(PostgresTargets.POOL);
            closes.push(pool::close);
        }
        return pool;
    }

    RedisClient redis() {
        if (redis == null) {
            ClientResources resources =
                    DefaultClientResources.builder().ioThreadPoolSize(1).build();
            closes.push(() -> {
                var unused = resources.shutdown();
            });
            redis = RedisClient.create(resources, Servers.redis());
            closes.push(redis::shutdown);
        }
        return redis;
    }

    MongoClient mongo() {
        if (mongo == null) {
            mongo = MongoClients.create(Servers.mongo());
            closes.push(mongo::close);
        }
        return mongo;
    }

    @Override
    public void close() {
        closes.forEach(Runnable::run);
    }
}
