package dev.curfew.benchmarks;

import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoClients;
import com.zaxxer.hikari.HikariDataSource;
import io.lettuce.core.RedisClient;
import io.lettuce.core.resource.ClientResources;
import io.lettuce.core.resource.DefaultClientResources;
import org.jspecify.annotations.Nullable;

/**
 * The clients of one JVM, each made when it is first asked for. Who takes turns has the same one, as an application has
 * one for all that it does: the same pool, the same threads, and so the same luck with the processors.
 */
final class Clients implements AutoCloseable {
    private @Nullable HikariDataSource pool;
    private @Nullable RedisClient redis;
    private @Nullable ClientResources resources;
    private @Nullable MongoClient mongo;

    HikariDataSource pool() {
        if (pool == null) {
            pool = PostgresTargets.pool(PostgresTargets.POOL);
        }
        return pool;
    }

    RedisClient redis() {
        if (redis == null) {
            resources = DefaultClientResources.builder().ioThreadPoolSize(1).build();
            redis = RedisClient.create(resources, Servers.redis());
        }
        return redis;
    }

    MongoClient mongo() {
        if (mongo == null) {
            mongo = MongoClients.create(Servers.mongo());
        }
        return mongo;
    }

    @Override
    public void close() {
        if (pool != null) {
            pool.close();
        }
        if (redis != null) {
            redis.shutdown();
        }
        if (resources != null) {
            var unused = resources.shutdown();
        }
        if (mongo != null) {
            mongo.close();
        }
    }
}
