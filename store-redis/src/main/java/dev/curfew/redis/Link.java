package dev.curfew.redis;

import dev.curfew.StoreScope;
import dev.curfew.redis.Failures.NotSentException;
import io.lettuce.core.RedisChannelHandler;
import io.lettuce.core.RedisCommandTimeoutException;
import io.lettuce.core.RedisConnectionStateListener;
import io.lettuce.core.api.StatefulConnection;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.cluster.SlotHash;
import io.lettuce.core.cluster.api.StatefulRedisClusterConnection;
import io.lettuce.core.cluster.models.partitions.RedisClusterNode;
import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.output.StatusOutput;
import io.lettuce.core.protocol.AsyncCommand;
import io.lettuce.core.protocol.Command;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import io.lettuce.core.protocol.RedisCommand;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The way to the server that has a key: one connection, or in a cluster one to each master, shared by all threads.
 *
 * <p>Whatever the client's options say, nothing is queued while there is no connection: a command goes out on one that
 * is open, or not at all. One that was lost, that was silent for a whole deadline, or that leads to a server which has
 * become a replica, is made anew; those who still wait for something on the old one have a while to get it. In a
 * cluster, every failure of a connection is a reason to ask who serves which slots.
 */
final class Link {
    /** What is waited for is an index, where it is neither a record nor a watermark. */
    static final String INDEX = "index";

    private static final int ATTEMPTS = 6;
    private static final long CONNECT_SECONDS = 5;
    // Not on the common pool, whose threads an application may keep busy for as long as it likes.
    private static final Executor LATER =
            CompletableFuture.delayedExecutor(10, TimeUnit.SECONDS, closing -> daemon(closing, "curfew-redis-close"));
    // On the timer's own thread: only for what takes no time.
    private static final Executor SOON = CompletableFuture.delayedExecutor(500, TimeUnit.MILLISECONDS, Runnable::run);

    private final Supplier<? extends StatefulConnection<String, String>> client;
    private final @Nullable RedisClusterClient cluster;
    private final int minReplicas;
    private final Replication replication;
    private final AtomicBoolean refreshing = new AtomicBoolean();
    private final Map<StatefulConnection<String, String>, Health> health = new ConcurrentHashMap<>();
    private final Set<StatefulConnection<String, String>> retired = ConcurrentHashMap.newKeySet();
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
        this.replication =
                new Replication(minReplicas, server -> health(server).losses.get());
    }

    /** What is known of the connection to one server. */
    private static final class Health implements RedisConnectionStateListener {
        final LongAdder answers = new LongAdder();
        final AtomicLong losses = new AtomicLong();

        @Override
        public void onRedisDisconnected(RedisChannelHandler<?, ?> connection) {
            losses.incrementAndGet();
        }
    }

    private Health health(StatefulConnection<String, String> server) {
        Health known = health.get(server);
        return known != null
                ? known
                : health.computeIfAbsent(server, each -> {
                    var made = new Health();
                    each.addListener(made);
                    return made;
                });
    }

    /** One connection, in the place of which another one is made when it is no good any more. */
    private final class Line {
        private final AtomicReference<@Nullable CompletableFuture<StatefulConnection<String, String>>> current =
                new AtomicReference<>();

        private final AtomicBoolean renewing = new AtomicBoolean();

        StatefulConnection<String, String> connection(CallTime time) throws ExecutionException, InterruptedException {
            boolean tried = false;
            while (true) {
                CompletableFuture<StatefulConnection<String, String>> made = current.get();
                if (made == null || (made.isCompletedExceptionally() && !tried)) {
                    replace(made);
                    tried = true;
                    continue;
                }
                StatefulConnection<String, String> connection;
                try {
                    connection = time.await(made);
                } catch (TimeoutException e) {
                    // It goes on, and the next call may find it made.
                    throw new ExecutionException(new NotSentException("no connection could be made within the call"
                            + " deadline. Check the host and the port, that it runs, and that no firewall is between"));
                } catch (ExecutionException e) {
                    if (!(e.getCause() instanceof TimeoutException)) {
                        throw e;
                    }
                    // One attempt has had its time, and this call has some left.
                    replace(made);
                    continue;
                }
                if (connection.isOpen()) {
                    return connection;
                }
                replace(made);
                tried = true;
            }
        }

        /** Leaves a connection for a new one, unless somebody has done so already. */
        void leave(StatefulConnection<String, String> connection) {
            CompletableFuture<StatefulConnection<String, String>> made = current.get();
            if (connectionOf(made) == connection) {
                replace(made);
            }
        }

        /** The same, but in a cluster, where only one node of many may be silent: it is used until there is another. */
        void renew(StatefulConnection<String, String> connection) {
            CompletableFuture<StatefulConnection<String, String>> made = current.get();
            if (connectionOf(made) == connection && renewing.compareAndSet(false, true)) {
                try {
                    daemon(() -> renew(made), "curfew-redis-connect");
                } catch (OutOfMemoryError e) {
                    // The system has no thread left. The next one who hears nothing tries.
                    renewing.set(false);
                }
            }
        }

        private void renew(@Nullable CompletableFuture<StatefulConnection<String, String>> made) {
            try {
                StatefulConnection<String, String> another = client.get();
                health(another);
                var renewed = CompletableFuture.completedFuture(another);
                release(current.compareAndSet(made, renewed) ? made : renewed);
                if (closed) {
                    release(renewed);
                }
            } catch (RuntimeException e) {
                // Then the next one who hears nothing tries.
            } finally {
                renewing.set(false);
            }
        }

        private void replace(@Nullable CompletableFuture<StatefulConnection<String, String>> old) {
            var made = new CompletableFuture<StatefulConnection<String, String>>();
            if (!current.compareAndSet(old, made)) {
                return;
            }
            release(old);
            var unused = made.orTimeout(CONNECT_SECONDS, TimeUnit.SECONDS);
            try {
                daemon(() -> connect(made), "curfew-redis-connect");
            } catch (OutOfMemoryError e) {
                // The system has no thread left. The next call tries again.
                made.completeExceptionally(e);
            }
        }

        private void connect(CompletableFuture<StatefulConnection<String, String>> made) {
            try {
                StatefulConnection<String, String> connection = client.get();
                health(connection);
                if (!made.complete(connection)) {
                    retire(connection);
                }
            } catch (Throwable e) {
                made.completeExceptionally(e);
            }
            if (closed || current.get() != made) {
                release(made);
            }
        }

        private void release(@Nullable CompletableFuture<StatefulConnection<String, String>> made) {
            StatefulConnection<String, String> connection = connectionOf(made);
            if (connection != null) {
                retire(connection);
            }
        }
    }

    private static void daemon(Runnable work, String name) {
        var thread = new Thread(work, name);
        thread.setDaemon(true);
        thread.start();
    }

    /** The connection, if it is made. */
    private static @Nullable StatefulConnection<String, String> connectionOf(
            @Nullable CompletableFuture<StatefulConnection<String, String>> made) {
        return made != null && made.isDone() && !made.isCompletedExceptionally() ? made.join() : null;
    }

    /** Closes a connection when those who wait for something on it have had the time to get it. */
    private void retire(StatefulConnection<String, String> connection) {
        retired.add(connection);
        Runnable ending = () -> {
            var unused = end(connection);
        };
        (closed ? (Executor) Runnable::run : LATER).execute(ending);
    }

    /** Once, whoever comes first. */
    private CompletableFuture<Void> end(StatefulConnection<String, String> connection) {
        if (!retired.remove(connection)) {
            return CompletableFuture.completedFuture(null);
        }
        CompletableFuture<Void> closing = connection.closeAsync();
        health.keySet().removeIf(each -> each instanceof RedisChannelHandler<?, ?> handler && handler.isClosed());
        return closing;
    }

    /** Asks one thing, and nothing after it. */
    <T extends @Nullable Object> T ask(StoreScope scope, Request<T> request) {
        return ask(scope, new CallTime(scope.deadline()), request);
    }

    /** Asks one thing: what {@link #ask(StoreScope, CallTime, List)} does, without what several take. */
    <T extends @Nullable Object> T ask(StoreScope scope, CallTime time, Request<T> request) {
        ensureOpen();
        StatefulConnection<String, String> connection = null;
        Sent<T> sent = null;
        try {
            connection = line.connection(time);
            for (int attempt = 1; true; attempt++) {
                StatefulConnection<String, String> server = server(connection, time, request);
                sent = sent(request, server, time);
                dispatch(server, request, sent.command);
                try {
                    T answer = time.await(sent.command);
                    sent.health.answers.increment();
                    return answer;
                } catch (ExecutionException e) {
                    if (!mayTryAgain(request, Failures.cause(e)) || attempt == ATTEMPTS) {
                        throw e;
                    }
                }
            }
        } catch (ExecutionException | TimeoutException | InterruptedException e) {
            throw failed(scope, time, connection, sent, e, request.changes(), false);
        } finally {
            if (sent != null && !sent.command.isDone()) {
                sent.command.cancel(true);
            }
        }
    }

    private static <T extends @Nullable Object> void dispatch(
            StatefulConnection<String, String> server, Request<T> request, AsyncCommand<String, String, T> command)
            throws ExecutionException {
        try {
            Optional<RedisCommand<String, String, ?>> before = ask(request);
            if (before.isPresent()) {
                server.dispatch(List.of(before.get(), command));
            } else {
                server.dispatch(command);
            }
        } catch (RuntimeException e) {
            throw new ExecutionException(e);
        }
    }

    /** Asks several things at once: one round trip to each server that has some of the keys. */
    <T extends @Nullable Object> List<T> ask(
            StoreScope scope, CallTime time, List<? extends Request<? extends T>> requests) {
        ensureOpen();
        // Others of the same call may be done when one fails.
        boolean several = requests.size() > 1;
        boolean changes = !requests.isEmpty() && requests.get(0).changes();
        List<T> answers = new ArrayList<>(Collections.nCopies(requests.size(), null));
        List<AsyncCommand<String, String, ?>> all = new ArrayList<>(requests.size());
        StatefulConnection<String, String> connection = null;
        Sent<?> awaited = null;
        try {
            connection = line.connection(time);
            List<Integer> open = new ArrayList<>(requests.size());
            for (int i = 0; i < requests.size(); i++) {
                open.add(i);
            }
            for (int attempt = 1; !open.isEmpty(); attempt++) {
                List<Sent<? extends T>> sent = send(connection, time, requests, open, all);
                List<Integer> again = new ArrayList<>();
                for (int n = 0; n < open.size(); n++) {
                    int i = open.get(n);
                    Sent<? extends T> each = sent.get(n);
                    awaited = each;
                    try {
                        answers.set(i, time.await(each.command));
                        each.health.answers.increment();
                    } catch (ExecutionException e) {
                        if (!mayTryAgain(requests.get(i), Failures.cause(e)) || attempt == ATTEMPTS) {
                            throw e;
                        }
                        again.add(i);
                    }
                }
                open = again;
            }
            return answers;
        } catch (ExecutionException | TimeoutException | InterruptedException e) {
            throw failed(scope, time, connection, awaited, e, changes, several && !all.isEmpty());
        } finally {
            // What nobody waits for is not sent again after a reconnect.
            for (AsyncCommand<String, String, ?> command : all) {
                if (!command.isDone()) {
                    command.cancel(true);
                }
            }
        }
    }

    private RuntimeException failed(
            StoreScope scope,
            CallTime time,
            @Nullable StatefulConnection<String, String> connection,
            @Nullable Sent<?> awaited,
            Exception e,
            boolean changes,
            boolean perhapsDone) {
        if (e instanceof InterruptedException) {
            Thread.currentThread().interrupt();
            return Failures.interrupted(scope.domain(), changes);
        }
        recover(time, connection, awaited, e instanceof ExecutionException failure ? Failures.cause(failure) : e);
        // Sent again by the driver, it is the second attempt that the server refused.
        boolean again = awaited != null && awaited.wasLost();
        return closed ? closed() : Failures.of(scope.domain(), e, changes, perhapsDone || again);
    }

    private boolean mayTryAgain(Request<?> request, Throwable refusal) {
        if (!request.overcomes(refusal)) {
            return false;
        }
        if (request.elsewhere != null && !request.elsewhere.asking()) {
            refresh();
        }
        // A server that is opened as if it were alone, and is a node of a cluster, sends us away.
        return cluster != null || request.elsewhere == null;
    }

    void ensureOpen() {
        if (closed) {
            throw closed();
        }
    }

    private static IllegalStateException closed() {
        return new IllegalStateException("The Redis store is closed; open a new one");
    }

    /** A request under way. */
    private static final class Sent<T extends @Nullable Object> {
        final AsyncCommand<String, String, T> command;
        final Health health;
        final long answersBefore;
        final long lossesBefore;
        final long leftBefore;

        Sent(AsyncCommand<String, String, T> command, Health health, CallTime time) {
            this.command = command;
            this.health = health;
            this.answersBefore = health.answers.sum();
            this.lossesBefore = health.losses.get();
            this.leftBefore = time.left();
        }

        /** Whether its connection was lost since it was sent. */
        boolean wasLost() {
            return health.losses.get() != lossesBefore;
        }

        boolean wasSilent(CallTime time) {
            return time.isMostlyGoneSince(leftBefore) && health.answers.sum() == answersBefore;
        }
    }

    private <T extends @Nullable Object> List<Sent<? extends T>> send(
            StatefulConnection<String, String> connection,
            CallTime time,
            List<? extends Request<? extends T>> requests,
            List<Integer> open,
            List<AsyncCommand<String, String, ?>> all)
            throws ExecutionException, InterruptedException, TimeoutException {
        Map<StatefulConnection<String, String>, List<RedisCommand<String, String, ?>>> byServer = new LinkedHashMap<>();
        List<Sent<? extends T>> sent = new ArrayList<>(open.size());
        for (int i : open) {
            Request<? extends T> request = requests.get(i);
            StatefulConnection<String, String> server = server(connection, time, request);
            List<RedisCommand<String, String, ?>> commands =
                    byServer.computeIfAbsent(server, each -> new ArrayList<>());
            ask(request).ifPresent(commands::add);
            Sent<? extends T> each = sent(request, server, time);
            commands.add(each.command);
            sent.add(each);
        }
        sent.forEach(each -> all.add(each.command));
        try {
            byServer.forEach(StatefulConnection::dispatch);
        } catch (RuntimeException e) {
            throw new ExecutionException(e);
        }
        return sent;
    }

    /** What must come before a request for a key that is being moved. */
    private static Optional<RedisCommand<String, String, ?>> ask(Request<?> request) {
        return request.elsewhere == null || !request.elsewhere.asking()
                ? Optional.empty()
                : Optional.of(new AsyncCommand<>(new Command<>(
                        CommandType.ASKING,
                        new StatusOutput<>(StringCodec.UTF8),
                        new CommandArgs<>(StringCodec.UTF8))));
    }

    private <T extends @Nullable Object> Sent<T> sent(
            Request<T> request, StatefulConnection<String, String> server, CallTime time) {
        return new Sent<>(request.command(), health(server), time);
    }

    /** The connection to the server that has the key. */
    private StatefulConnection<String, String> server(
            StatefulConnection<String, String> connection, CallTime time, Request<?> request)
            throws ExecutionException, InterruptedException, TimeoutException {
        if (!(connection instanceof StatefulRedisClusterConnection<String, String> nodes)) {
            return connection;
        }
        while (true) {
            Throwable failure;
            try {
                StatefulConnection<String, String> node = time.await(node(nodes, request));
                if (node.isOpen()) {
                    return node;
                }
                failure = new NotSentException(
                        "there is no connection to the node of the cluster that serves the key. Look at CLUSTER NODES");
            } catch (TimeoutException e) {
                throw new ExecutionException(
                        new NotSentException("no connection to the node of the cluster that serves the"
                                + " key could be made within the call deadline. Look at CLUSTER NODES"));
            } catch (ExecutionException e) {
                failure = Failures.cause(e);
            } catch (RuntimeException e) {
                failure = e;
            }
            // Perhaps another one serves the slot by now, or this one comes back.
            request.elsewhere = null;
            refresh();
            if (closed || !time.pause()) {
                throw new ExecutionException(failure);
            }
        }
    }

    @SuppressWarnings("unchecked")
    private static CompletableFuture<StatefulConnection<String, String>> node(
            StatefulRedisClusterConnection<String, String> nodes, Request<?> request) {
        Request.Elsewhere elsewhere = request.elsewhere;
        CompletableFuture<?> node;
        if (elsewhere != null) {
            node = nodes.getConnectionAsync(elsewhere.host(), elsewhere.port());
        } else {
            RedisClusterNode master = nodes.getPartitions().getMasterBySlot(SlotHash.getSlot(request.key));
            if (master == null) {
                throw new NotSentException("no node of the cluster serves the key's slot. Look at CLUSTER INFO");
            }
            node = nodes.getConnectionAsync(
                    master.getUri().getHost(), master.getUri().getPort());
        }
        return (CompletableFuture<StatefulConnection<String, String>>) node;
    }

    /** At most twice a second, however much fails. */
    private void refresh() {
        if (cluster != null && refreshing.compareAndSet(false, true)) {
            try {
                var unused = cluster.refreshPartitionsAsync()
                        .toCompletableFuture()
                        .copy()
                        .orTimeout(CONNECT_SECONDS, TimeUnit.SECONDS)
                        .whenComplete((done, thrown) -> SOON.execute(() -> refreshing.set(false)));
            } catch (RuntimeException e) {
                refreshing.set(false);
            } catch (Error e) {
                refreshing.set(false);
                throw e;
            }
        }
    }

    private void recover(
            CallTime time,
            @Nullable StatefulConnection<String, String> connection,
            @Nullable Sent<?> awaited,
            Throwable e) {
        boolean late = e instanceof TimeoutException || e instanceof RedisCommandTimeoutException;
        boolean silent = late && awaited != null && awaited.wasSilent(time);
        if (cluster != null) {
            if (!Failures.isRefusal(e) || Failures.is(e, "READONLY") || Failures.is(e, "CLUSTERDOWN")) {
                refresh();
            }
            if (silent && connection != null) {
                line.renew(connection);
            }
        } else if (connection != null && (silent || Failures.is(e, "READONLY"))) {
            line.leave(connection);
        }
    }

    // Replicas

    /**
     * Waits until as many replicas have what was changed as {@code minReplicas} says.
     *
     * @param touched what it must be at the least, as {@code touch.lua} has it
     */
    void awaitReplicas(StoreScope scope, CallTime time, List<? extends Request<?>> changed, String... touched) {
        if (minReplicas == 0 || changed.isEmpty()) {
            return;
        }
        boolean index = touched[0].equals(INDEX);
        Map<StatefulConnection<String, String>, List<RedisCommand<String, String, ?>>> byServer = new LinkedHashMap<>();
        List<AsyncCommand<String, String, List<String>>> touches = new ArrayList<>(changed.size());
        StatefulConnection<String, String> connection = null;
        long endedBefore = replication.ended();
        long leftBefore = time.left();
        try {
            connection = waiting.connection(time);
            for (Request<?> request : changed) {
                Request<List<String>> touch = Request.whole(Script.TOUCH, request.key, touched);
                touch.elsewhere = request.elsewhere;
                List<RedisCommand<String, String, ?>> commands =
                        byServer.computeIfAbsent(server(connection, time, touch), each -> new ArrayList<>());
                ask(touch).ifPresent(commands::add);
                touches.add(touch.command());
                commands.add(touches.get(touches.size() - 1));
            }
            List<CompletableFuture<Long>> turns = new ArrayList<>();
            byServer.forEach((server, commands) -> turns.add(replication.join(server, commands, time)));
            for (CompletableFuture<Long> turn : turns) {
                long replicas = time.await(turn);
                if (replicas < minReplicas) {
                    throw Failures.unreplicated(scope.domain(), index, replicas + " of the " + minReplicas, null);
                }
            }
            for (AsyncCommand<String, String, List<String>> touch : touches) {
                if (!time.await(touch).equals(List.of("THERE"))) {
                    leaveWaiting(connection, true);
                    throw Failures.lost(scope.domain(), index);
                }
            }
        } catch (ExecutionException e) {
            Throwable cause = Failures.cause(e);
            leaveWaiting(connection, !Failures.is(cause, "NOPERM"));
            throw Failures.unreplicated(scope.domain(), index, "nobody knows how many of the " + minReplicas, cause);
        } catch (TimeoutException e) {
            boolean silent = replication.ended() == endedBefore && time.isMostlyGoneSince(leftBefore);
            leaveWaiting(connection, silent);
            throw Failures.unreplicated(scope.domain(), index, "nobody knows how many of the " + minReplicas, e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw Failures.interrupted(scope.domain(), !index);
        }
    }

    private void leaveWaiting(@Nullable StatefulConnection<String, String> connection, boolean useless) {
        if (connection == null || !useless) {
            return;
        }
        if (cluster == null) {
            waiting.leave(connection);
        } else {
            refresh();
            waiting.renew(connection);
        }
    }

    // Servers, one by one

    /** The connections to all masters. */
    List<StatefulConnection<String, String>> masters(StoreScope scope, CallTime time) {
        ensureOpen();
        try {
            StatefulConnection<String, String> connection = line.connection(time);
            if (!(connection instanceof StatefulRedisClusterConnection<String, String> nodes)) {
                return List.of(connection);
            }
            List<StatefulConnection<String, String>> masters = new ArrayList<>();
            for (RedisClusterNode node : nodes.getPartitions()) {
                if (!node.getSlots().isEmpty()) {
                    masters.add(time.await(nodes.getConnectionAsync(
                            node.getUri().getHost(), node.getUri().getPort())));
                }
            }
            return masters;
        } catch (ExecutionException | TimeoutException e) {
            throw Failures.of(scope.domain(), e, false, false);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw Failures.interrupted(scope.domain(), false);
        }
    }

    /** Answers whether it was open. */
    synchronized boolean close() {
        if (closed) {
            return false;
        }
        closed = true;
        for (Line each : List.of(line, waiting)) {
            StatefulConnection<String, String> connection = connectionOf(each.current.get());
            if (connection != null) {
                retired.add(connection);
            }
        }
        CompletableFuture<?> closing = CompletableFuture.allOf(
                List.copyOf(retired).stream().map(this::end).toArray(CompletableFuture<?>[]::new));
        try {
            closing.get(1, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (ExecutionException | TimeoutException e) {
            // They are of no use to anybody any more.
        }
        return true;
    }
}
