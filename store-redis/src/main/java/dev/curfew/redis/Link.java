package dev.curfew.redis;

import static io.lettuce.core.codec.StringCodec.UTF8;

import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.redis.Failures.NotSentException;
import io.lettuce.core.AbstractRedisClient;
import io.lettuce.core.RedisChannelHandler;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisConnectionStateListener;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.api.StatefulConnection;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.cluster.ClusterClientOptions;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.cluster.api.StatefulRedisClusterConnection;
import io.lettuce.core.cluster.models.partitions.RedisClusterNode;
import io.lettuce.core.protocol.AsyncCommand;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * Sends requests to the server, and waits no longer than the call may take. While there is no connection, a request is
 * repeated for up to a second; the server recognises the repetition of a change by the mark of its call. The driver
 * finds the server: it reconnects, asks the sentinels, and follows the slots of a cluster.
 */
final class Link implements RedisConnectionStateListener {
    private static final long PAUSE_MILLIS = 10;

    private final AbstractRedisClient client;
    final Connection questions = new Connection(this::connect);
    private final @Nullable GroupCommit groupCommit;
    private final AtomicLong disconnects = new AtomicLong();
    private volatile boolean closed;

    Link(AbstractRedisClient client, int minReplicas) {
        this.client = client;
        this.groupCommit =
                minReplicas == 0 ? null : new GroupCommit(new Connection(this::connect), minReplicas, disconnects);
        client.addListener(this);
    }

    private StatefulConnection<String, String> connect() {
        return client instanceof RedisClusterClient cluster
                ? cluster.connect(UTF8)
                : ((RedisClient) client).connect(UTF8);
    }

    /**
     * Counts lost connections. After one, an application's client may send a command again, and the answer is then that
     * of the repetition.
     */
    @Override
    public void onRedisDisconnected(RedisChannelHandler<?, ?> connection) {
        if (!connection.isClosed()) {
            disconnects.incrementAndGet();
        }
    }

    boolean isInCluster() {
        return client instanceof RedisClusterClient;
    }

    /** Whether an application's client refreshes its view of the cluster only after a failure. */
    boolean isSeldomRefreshed() {
        return isInCluster()
                && !(client.getOptions() instanceof ClusterClientOptions options && options.isRefreshClusterView());
    }

    /** Sends one request, and waits for its answer. */
    @SuppressWarnings({"unchecked", "NullAway"}) // the answer has the request's own type
    <T extends @Nullable Object> T ask(Call call, Request<T> request) {
        return (T) ask(call, null, new Request<?>[] {request})[0];
    }

    /** Sends several requests at once: one round trip to each server that has some of the keys. */
    @SuppressWarnings("unchecked")
    <T extends @Nullable Object> List<T> ask(Call call, List<? extends Request<? extends T>> requests) {
        return (List<T>) Arrays.asList(ask(call, null, requests.toArray(Request<?>[]::new)));
    }

    /** Sends changes, and waits until as many replicas as {@code minReplicas} says have them. */
    @SuppressWarnings("unchecked")
    List<List<String>> change(Call call, List<Request<List<String>>> requests) {
        return (List<List<String>>)
                (List<?>) Arrays.asList(ask(call, groupCommit, requests.toArray(Request<?>[]::new)));
    }

    private @Nullable Object[] ask(Call call, @Nullable GroupCommit replicated, Request<?>[] requests) {
        ensureOpen();
        Connection line = replicated == null ? questions : replicated.connection;
        boolean isWhole = false;
        boolean isUnsure = false;
        long pause = 0;
        while (true) {
            long answeredBefore = line.answered.sum();
            long disconnectsBefore = disconnects.get();
            long leftBefore = call.left();
            RedisFuture<?>[] commands = new RedisFuture<?>[requests.length];
            StatefulConnection<String, String> connection = null;
            Throwable failure;
            try {
                if (pause > 0) {
                    Thread.sleep(pause);
                }
                connection = line.open(call);
                if (!connection.isOpen()) {
                    // The driver would reconnect it, but would not tell why it fails to.
                    line.leave(connection);
                    throw new NotSentException("DISCONNECTED");
                }
                List<CompletableFuture<Long>> waits = List.of();
                if (replicated != null) {
                    waits = replicated.dispatch(call, connection, requests, commands, isWhole);
                } else {
                    dispatch(connection, requests, commands, isWhole);
                }
                Object[] answers = new Object[requests.length];
                for (int i = 0; i < requests.length; i++) {
                    answers[i] = call.await(commands[i]);
                }
                line.answered.increment();
                if (replicated != null) {
                    replicated.await(call, connection, requests, answers, waits);
                }
                return answers;
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw Failures.of(
                        requests[0].changes() ? Outcome.UNKNOWN : Outcome.UNCHANGED,
                        call.scope.domain(),
                        "INTERRUPTED",
                        null);
            } catch (TokenStoreException e) {
                throw e;
            } catch (ExecutionException | TimeoutException | RuntimeException e) {
                // The driver also throws where another call has closed the connection meanwhile.
                failure = Failures.cause(e);
            } finally {
                // A command whose call has failed must not be sent later.
                for (RedisFuture<?> command : commands) {
                    if (command != null && !command.isDone()) {
                        command.cancel(true);
                    }
                }
            }
            if (closed) {
                throw closed();
            }
            boolean isRefusal = Failures.isRefusal(failure);
            if (isRefusal) {
                line.answered.increment();
                if (!isWhole && Failures.is(failure, "NOSCRIPT")) {
                    isWhole = true;
                    continue;
                }
            }
            // One of several requests may be done. A refusal may be the answer to the driver's second attempt.
            isUnsure |= !Failures.isNotSent(failure)
                    && (!isRefusal || requests.length > 1 || disconnects.get() != disconnectsBefore);
            boolean isSilence = Failures.isSilence(failure);
            boolean hasMoved = replicated != null && (Failures.is(failure, "MOVED") || Failures.is(failure, "ASK"));
            boolean mayBeElsewhere = replicated != null && pause == 0 && (hasMoved || !isRefusal);
            if (mayBeElsewhere && client instanceof RedisClusterClient cluster) {
                // The driver refreshes its view by itself, but not after the failure of a command to one node.
                var unused = cluster.refreshPartitionsAsync();
            }
            if ((isRefusal && !hasMoved) || isSilence || !call.mayRetry()) {
                boolean isSilent = isSilence
                        && call.isMostlyGoneSince(leftBefore)
                        && (isInCluster() || line.answered.sum() == answeredBefore);
                if (connection != null && (isSilent || Failures.is(failure, "READONLY"))) {
                    line.leave(connection);
                }
                throw Failures.of(call.scope.domain(), failure, requests[0].changes(), isUnsure);
            }
            pause = PAUSE_MILLIS;
        }
    }

    private void dispatch(
            StatefulConnection<String, String> connection,
            Request<?>[] requests,
            RedisFuture<?>[] commands,
            boolean isWhole) {
        if (requests.length == 1 || isInCluster()) {
            // If a cluster's connection is given several commands at once, and has no connection yet to one of their
            // nodes, it blocks.
            for (int i = 0; i < requests.length; i++) {
                AsyncCommand<String, String, ?> command = requests[i].command(isWhole);
                commands[i] = command;
                connection.dispatch(command);
            }
        } else {
            List<AsyncCommand<String, String, ?>> all = new ArrayList<>(requests.length);
            for (int i = 0; i < requests.length; i++) {
                AsyncCommand<String, String, ?> command = requests[i].command(isWhole);
                commands[i] = command;
                all.add(command);
            }
            connection.dispatch(all);
        }
    }

    /** The connections to all masters. After this call, all connections that the store uses are made. */
    List<StatefulRedisConnection<String, String>> masters(Call call) {
        ensureOpen();
        List<StatefulRedisConnection<String, String>> masters = masters(call, questions);
        return groupCommit == null ? masters : masters(call, groupCommit.connection);
    }

    private static List<StatefulRedisConnection<String, String>> masters(Call call, Connection line) {
        StatefulConnection<String, String> connection = await(call, () -> line.open(call));
        if (!(connection instanceof StatefulRedisClusterConnection<String, String> cluster)) {
            return List.of((StatefulRedisConnection<String, String>) connection);
        }
        return cluster.getPartitions().stream()
                .filter(node -> !node.getSlots().isEmpty())
                .map(node -> await(call, () -> call.await(node(cluster, node))))
                .toList();
    }

    static CompletableFuture<StatefulRedisConnection<String, String>> node(
            StatefulRedisClusterConnection<String, String> cluster, RedisClusterNode node) {
        return cluster.getConnectionAsync(node.getUri().getHost(), node.getUri().getPort());
    }

    /** Waits for one server's answer to a command that changes nothing. */
    static <T> T await(Call call, Future<T> answer) {
        return await(call, () -> call.await(answer));
    }

    private static <T> T await(Call call, Callable<T> waiting) {
        try {
            return waiting.call();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw Failures.of(Outcome.UNCHANGED, call.scope.domain(), "INTERRUPTED", null);
        } catch (Exception e) {
            throw Failures.of(call.scope.domain(), Failures.cause(e), false, false);
        }
    }

    void ensureOpen() {
        if (closed) {
            throw closed();
        }
    }

    private static IllegalStateException closed() {
        return new IllegalStateException("The Redis store is closed; open a new one");
    }

    /** Closes the connections; answers whether they were open. */
    synchronized boolean close() {
        if (closed) {
            return false;
        }
        closed = true;
        client.removeListener(this);
        try {
            CompletableFuture<Void> other = groupCommit == null ? null : groupCommit.connection.close();
            CompletableFuture<Void> closing = questions.close();
            (other == null ? closing : CompletableFuture.allOf(closing, other)).get(1, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (ExecutionException | TimeoutException e) {
            // The store is closed, whether the connections could be closed in time or not.
        }
        return true;
    }
}
