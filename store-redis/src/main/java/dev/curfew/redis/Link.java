package dev.curfew.redis;

import dev.curfew.StoreScope;
import dev.curfew.redis.Failures.NotSentException;
import io.lettuce.core.api.StatefulConnection;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.cluster.SlotHash;
import io.lettuce.core.cluster.api.StatefulRedisClusterConnection;
import io.lettuce.core.cluster.models.partitions.RedisClusterNode;
import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.output.IntegerOutput;
import io.lettuce.core.output.StatusOutput;
import io.lettuce.core.protocol.AsyncCommand;
import io.lettuce.core.protocol.Command;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import io.lettuce.core.protocol.RedisCommand;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The way to the server that has a key: one connection, or in a cluster one to each master, shared by all threads.
 *
 * <p>Whatever the client's options say, nothing is queued while there is no connection: a command goes out on one that
 * is open, or not at all. One that was lost, that was silent for a whole deadline, or that leads to a server which has
 * become a replica, is made anew; in a cluster, whatever fails is a reason to ask who serves which slots.
 */
final class Link {
    private static final int ATTEMPTS = 6;

    private final Supplier<? extends StatefulConnection<String, String>> client;
    private final @Nullable RedisClusterClient cluster;
    private final int minReplicas;
    private final AtomicBoolean refreshing = new AtomicBoolean();
    private final Line line = new Line();
    // Whoever waits for replicas keeps a connection from everything else.
    private final Line waiting = new Line();
    private volatile boolean closed;

    /** @param client makes a connection, and blocks meanwhile */
    Link(
            Supplier<? extends StatefulConnection<String, String>> client,
            @Nullable RedisClusterClient cluster,
            int minReplicas) {
        this.client = client;
        this.cluster = cluster;
        this.minReplicas = minReplicas;
    }

    /** One connection, in the place of which another one is made when it is no good any more. */
    private final class Line {
        final AtomicReference<@Nullable CompletableFuture<StatefulConnection<String, String>>> current =
                new AtomicReference<>();
        final LongAdder answers = new LongAdder();

        StatefulConnection<String, String> connection(Deadline deadline)
                throws ExecutionException, InterruptedException, TimeoutException {
            while (true) {
                CompletableFuture<StatefulConnection<String, String>> made = current.get();
                if (made == null || made.isCompletedExceptionally()) {
                    replace(made);
                    continue;
                }
                StatefulConnection<String, String> connection;
                try {
                    connection = deadline.await(made);
                } catch (TimeoutException e) {
                    // It may take for ever: let the next call begin again.
                    current.compareAndSet(made, null);
                    throw new ExecutionException(new NotSentException("no connection could be made in time"));
                } catch (ExecutionException e) {
                    current.compareAndSet(made, null);
                    throw e;
                }
                if (connection.isOpen()) {
                    return connection;
                }
                replace(made);
            }
        }

        void replace(@Nullable CompletableFuture<StatefulConnection<String, String>> old) {
            var made = new CompletableFuture<StatefulConnection<String, String>>();
            if (!current.compareAndSet(old, made)) {
                return;
            }
            var unused = release(old);
            var thread = new Thread(() -> connect(made), "curfew-redis-connect");
            thread.setDaemon(true);
            thread.start();
        }

        private void connect(CompletableFuture<StatefulConnection<String, String>> made) {
            try {
                made.complete(client.get());
            } catch (Throwable e) {
                made.completeExceptionally(e);
            }
            if (closed || current.get() != made) {
                // Nobody is waiting for it any more.
                var unused = release(made);
            }
        }
    }

    private static @Nullable CompletableFuture<Void> release(
            @Nullable CompletableFuture<StatefulConnection<String, String>> made) {
        return made != null && made.isDone() && !made.isCompletedExceptionally()
                ? made.join().closeAsync()
                : null;
    }

    /** Asks one thing. */
    <T extends @Nullable Object> T ask(StoreScope scope, Request<T> request) {
        return ask(scope, new Deadline(scope.deadline()), List.of(request)).get(0);
    }

    /** Asks several things at once: one round trip to each server that has some of the keys. */
    <T extends @Nullable Object> List<T> ask(
            StoreScope scope, Deadline deadline, List<? extends Request<? extends T>> requests) {
        return ask(scope, deadline, requests, false);
    }

    /** As {@link #ask}, and waits until as many replicas as were asked for have it. */
    <T extends @Nullable Object> List<T> askReplicated(
            StoreScope scope, Deadline deadline, List<? extends Request<? extends T>> requests) {
        return ask(scope, deadline, requests, minReplicas > 0);
    }

    /** A request under way. */
    private static final class Sent<T extends @Nullable Object> {
        final AsyncCommand<String, String, T> command;
        final @Nullable AsyncCommand<String, String, Long> wait;

        Sent(AsyncCommand<String, String, T> command, @Nullable AsyncCommand<String, String, Long> wait) {
            this.command = command;
            this.wait = wait;
        }
    }

    private <T extends @Nullable Object> List<T> ask(
            StoreScope scope, Deadline deadline, List<? extends Request<? extends T>> requests, boolean replicated) {
        ensureOpen();
        Line used = replicated ? waiting : line;
        long answersBefore = used.answers.sum();
        List<T> answers = new ArrayList<>(java.util.Collections.nCopies(requests.size(), null));
        List<AsyncCommand<String, String, ?>> all = new ArrayList<>();
        Set<AsyncCommand<String, String, Long>> waits = new HashSet<>();
        StatefulConnection<String, String> connection = null;
        try {
            connection = used.connection(deadline);
            List<Integer> open = new ArrayList<>();
            for (int i = 0; i < requests.size(); i++) {
                open.add(i);
            }
            for (int attempt = 1; !open.isEmpty(); attempt++) {
                List<Sent<? extends T>> sent = send(connection, deadline, requests, open, replicated, all);
                List<Integer> again = new ArrayList<>();
                for (int n = 0; n < open.size(); n++) {
                    int i = open.get(n);
                    Sent<? extends T> each = sent.get(n);
                    try {
                        answers.set(i, deadline.await(each.command));
                        if (each.wait != null) {
                            waits.add(each.wait);
                        }
                    } catch (ExecutionException e) {
                        Throwable refusal = Failures.cause(e);
                        boolean another = requests.get(i).overcomes(refusal);
                        if (requests.get(i).elsewhere != null) {
                            refresh();
                        }
                        boolean misled = cluster == null && requests.get(i).elsewhere != null;
                        if (!another || misled || attempt == ATTEMPTS) {
                            throw e;
                        }
                        again.add(i);
                    }
                }
                open = again;
            }
            used.answers.increment();
            awaitReplicas(scope, deadline, waits);
            return answers;
        } catch (ExecutionException e) {
            if (closed) {
                throw closed();
            }
            recover(used, connection, Failures.is(Failures.cause(e), "READONLY"));
            throw Failures.of(scope.domain(), e);
        } catch (TimeoutException e) {
            recover(used, connection, used.answers.sum() == answersBefore);
            throw Failures.of(scope.domain(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw Failures.interrupted(scope.domain());
        } finally {
            // What nobody waits for is not sent again after a reconnect.
            for (AsyncCommand<String, String, ?> command : all) {
                if (!command.isDone()) {
                    command.cancel(true);
                }
            }
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

    private <T extends @Nullable Object> List<Sent<? extends T>> send(
            StatefulConnection<String, String> connection,
            Deadline deadline,
            List<? extends Request<? extends T>> requests,
            List<Integer> open,
            boolean replicated,
            List<AsyncCommand<String, String, ?>> all)
            throws ExecutionException, InterruptedException, TimeoutException {
        Map<StatefulConnection<String, String>, List<RedisCommand<String, String, ?>>> byServer = new LinkedHashMap<>();
        Map<StatefulConnection<String, String>, AsyncCommand<String, String, Long>> waits = new LinkedHashMap<>();
        List<Sent<? extends T>> sent = new ArrayList<>(open.size());
        for (int i : open) {
            Request<? extends T> request = requests.get(i);
            StatefulConnection<String, String> server = server(connection, deadline, request);
            List<RedisCommand<String, String, ?>> commands =
                    byServer.computeIfAbsent(server, each -> new ArrayList<>());
            if (request.elsewhere != null && request.elsewhere.asking()) {
                commands.add(new AsyncCommand<>(new Command<>(
                        CommandType.ASKING,
                        new StatusOutput<>(StringCodec.UTF8),
                        new CommandArgs<>(StringCodec.UTF8))));
            }
            Sent<? extends T> each =
                    sent(request, replicated ? waits.computeIfAbsent(server, other -> replicas(deadline)) : null);
            commands.add(each.command);
            all.add(each.command);
            sent.add(each);
        }
        byServer.forEach((server, commands) -> {
            AsyncCommand<String, String, Long> wait = waits.get(server);
            if (wait != null) {
                commands.add(wait);
                all.add(wait);
            }
            server.dispatch(commands);
        });
        return sent;
    }

    private static <T extends @Nullable Object> Sent<T> sent(
            Request<T> request, @Nullable AsyncCommand<String, String, Long> wait) {
        return new Sent<>(request.command(), wait);
    }

    private AsyncCommand<String, String, Long> replicas(Deadline deadline) {
        return new AsyncCommand<>(new Command<>(
                CommandType.WAIT,
                new IntegerOutput<>(StringCodec.UTF8),
                new CommandArgs<>(StringCodec.UTF8).add(minReplicas).add(deadline.forTheServer())));
    }

    private void awaitReplicas(StoreScope scope, Deadline deadline, Set<AsyncCommand<String, String, Long>> waits)
            throws InterruptedException {
        for (AsyncCommand<String, String, Long> wait : waits) {
            String answered = "an unknown number";
            try {
                long replicas = deadline.await(wait);
                if (replicas >= minReplicas) {
                    continue;
                }
                answered = Long.toString(replicas);
            } catch (ExecutionException | TimeoutException e) {
                // What is asked for is done: that the replicas have it is not known.
            }
            throw Failures.unreplicated(scope.domain(), answered, minReplicas);
        }
    }

    /** The connection to the server that has the key. */
    private StatefulConnection<String, String> server(
            StatefulConnection<String, String> connection, Deadline deadline, Request<?> request)
            throws ExecutionException, InterruptedException, TimeoutException {
        if (!(connection instanceof StatefulRedisClusterConnection<String, String> nodes)) {
            return connection;
        }
        while (true) {
            RedisClusterNode master = nodes.getPartitions().getMasterBySlot(SlotHash.getSlot(request.key));
            Request.Elsewhere elsewhere = request.elsewhere;
            ExecutionException failure;
            if (elsewhere == null && master == null) {
                failure = new ExecutionException(new NotSentException("no node of the cluster serves the key's slot"));
            } else {
                try {
                    StatefulConnection<String, String> node = deadline.await(
                            elsewhere != null
                                    ? nodes.getConnectionAsync(elsewhere.host(), elsewhere.port())
                                    : nodes.getConnectionAsync(
                                            master.getUri().getHost(),
                                            master.getUri().getPort()));
                    if (node.isOpen()) {
                        return node;
                    }
                    failure = new ExecutionException(
                            new NotSentException("the node of the cluster that serves the key is not connected"));
                } catch (ExecutionException e) {
                    failure = e;
                }
            }
            // Perhaps another one serves the slot by now, or this one comes back.
            request.elsewhere = null;
            refresh();
            if (!deadline.pause()) {
                throw failure;
            }
        }
    }

    private void refresh() {
        if (cluster != null && refreshing.compareAndSet(false, true)) {
            cluster.refreshPartitionsAsync().whenComplete((done, thrown) -> refreshing.set(false));
        }
    }

    private void recover(Line used, @Nullable StatefulConnection<String, String> connection, boolean useless) {
        if (cluster != null) {
            refresh();
        } else if (useless) {
            CompletableFuture<StatefulConnection<String, String>> made = used.current.get();
            if (made != null && made.isDone() && !made.isCompletedExceptionally() && made.join() == connection) {
                used.replace(made);
            }
        }
    }

    // Servers, one by one

    /** The connections to all masters. */
    List<StatefulConnection<String, String>> masters(StoreScope scope, Deadline deadline) {
        try {
            StatefulConnection<String, String> connection = line.connection(deadline);
            if (!(connection instanceof StatefulRedisClusterConnection<String, String> nodes)) {
                return List.of(connection);
            }
            List<StatefulConnection<String, String>> masters = new ArrayList<>();
            for (RedisClusterNode node : nodes.getPartitions()) {
                if (!node.getSlots().isEmpty()) {
                    masters.add(deadline.await(nodes.getConnectionAsync(
                            node.getUri().getHost(), node.getUri().getPort())));
                }
            }
            return masters;
        } catch (ExecutionException | TimeoutException e) {
            throw Failures.of(scope.domain(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw Failures.interrupted(scope.domain());
        }
    }

    /** Answers whether it was open. */
    synchronized boolean close() {
        if (closed) {
            return false;
        }
        closed = true;
        for (Line each : List.of(line, waiting)) {
            CompletableFuture<Void> closing = release(each.current.get());
            if (closing != null) {
                try {
                    closing.get(1, TimeUnit.SECONDS);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                } catch (ExecutionException | TimeoutException e) {
                    // It is of no use to anybody any more.
                }
            }
        }
        return true;
    }
}
