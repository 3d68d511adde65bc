package dev.curfew.redis;

import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.redis.Failures.NotSentException;
import io.lettuce.core.api.StatefulConnection;
import io.lettuce.core.cluster.SlotHash;
import io.lettuce.core.cluster.api.StatefulRedisClusterConnection;
import io.lettuce.core.cluster.models.partitions.RedisClusterNode;
import io.lettuce.core.protocol.CommandType;
import io.lettuce.core.protocol.RedisCommand;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * A connection for changes that wait for replicas. It sends changes in groups, with one {@code WAIT} for each group.
 * Each change goes to the server that has its key. While a group is under way to a server, further changes are
 * collected for the next group. A group is followed by a {@code SET} of a temporary key: a replica that has this
 * {@code SET} has all earlier writes too, also those of other clients. Checks do not use this connection, since a
 * {@code WAIT} delays every later command.
 */
final class GroupCommit extends Connection {
    /** Answers of a script that has changed nothing, so that no replica needs to be waited for. */
    private static final Set<String> NOTHING_TO_KEEP = Set.of("UNKNOWN", "EXPIRED");

    private final int minReplicas;
    private final LongSupplier disconnects;
    private final Map<StatefulConnection<String, String>, Group> next = new HashMap<>();
    /** The servers to which a group is under way. */
    private final Set<StatefulConnection<String, String>> busy = new HashSet<>();

    /** @param disconnects how many connections were lost; after a loss, the answer to a {@code WAIT} does not count */
    GroupCommit(
            Supplier<? extends StatefulConnection<String, String>> connector,
            int minReplicas,
            LongSupplier disconnects) {
        super(connector);
        this.minReplicas = minReplicas;
        this.disconnects = disconnects;
    }

    private static final class Group {
        final List<RedisCommand<String, String, ?>> commands = new ArrayList<>();
        final Set<Call> calls = new HashSet<>();
        final CompletableFuture<Long> replicas = new CompletableFuture<>();
        /** A key that the server has, and that no record uses. */
        final String temporary;

        Group(String temporary) {
            this.temporary = temporary;
        }
    }

    /** Sends the changes. Answers, for each of them, how many replicas have it. */
    List<CompletableFuture<Long>> send(
            Call call,
            StatefulConnection<String, String> connection,
            List<Request> requests,
            List<? extends RedisCommand<String, String, ?>> commands)
            throws ExecutionException, InterruptedException, TimeoutException {
        List<StatefulConnection<String, String>> servers = new ArrayList<>();
        for (Request request : requests) {
            servers.add(server(call, connection, request.key()));
        }
        List<CompletableFuture<Long>> replicas = new ArrayList<>();
        synchronized (this) {
            for (int i = 0; i < commands.size(); i++) {
                String temporary = Keys.temporary(requests.get(i).key());
                Group group = next.computeIfAbsent(servers.get(i), server -> new Group(temporary));
                group.commands.add(commands.get(i));
                group.calls.add(call);
                replicas.add(group.replicas);
            }
            servers.stream().filter(busy::add).forEach(this::sendNext);
        }
        return replicas;
    }

    private static StatefulConnection<String, String> server(
            Call call, StatefulConnection<String, String> connection, String key)
            throws ExecutionException, InterruptedException, TimeoutException {
        if (!(connection instanceof StatefulRedisClusterConnection<String, String> cluster)) {
            return connection;
        }
        RedisClusterNode master = cluster.getPartitions().getMasterBySlot(SlotHash.getSlot(key));
        if (master == null) {
            throw new NotSentException("UNSERVED");
        }
        return call.await(Link.node(cluster, master));
    }

    private synchronized void sendNext(StatefulConnection<String, String> server) {
        Group group = next.remove(server);
        if (group == null) {
            busy.remove(server);
            return;
        }
        // Three quarters of the time that is left, so that the answer to the WAIT comes in time.
        long nanos = group.calls.stream().mapToLong(Call::left).max().orElse(0) / 4 * 3;
        String millis = Long.toString(Math.max(1, nanos / 1_000_000));
        var write =
                Request.of(CommandType.SET, group.temporary, "", "PX", "1000").command(false);
        var wait = Request.of(CommandType.WAIT, List.of(), Integer.toString(minReplicas), millis)
                .command(false);
        group.commands.add(write);
        group.commands.add(wait);
        long before = disconnects.getAsLong();
        // If the write was refused, the WAIT is for an earlier write, and does not count.
        var unused = write.thenCombine(
                        wait,
                        (written, replicas) -> disconnects.getAsLong() == before ? Long.parseLong(replicas.first()) : 0)
                .whenComplete((replicas, thrown) -> {
                    // First of all, since the next group must be sent even if this one has failed.
                    sendNext(server);
                    if (thrown == null) {
                        group.replicas.complete(replicas);
                    } else {
                        group.replicas.completeExceptionally(thrown);
                    }
                });
        try {
            server.dispatch(group.commands);
        } catch (RuntimeException e) {
            group.commands.forEach(command -> command.completeExceptionally(e));
        }
    }

    /** Waits until the replicas have the changes, unless the answers say that nothing was changed. */
    void awaitReplicas(
            Call call,
            StatefulConnection<String, String> used,
            List<Answer> answers,
            List<CompletableFuture<Long>> replicas)
            throws InterruptedException {
        if (answers.stream().allMatch(answer -> NOTHING_TO_KEEP.contains(answer.first()))) {
            return;
        }
        String known = "nobody knows how many";
        Throwable failure = null;
        try {
            long least = minReplicas;
            for (CompletableFuture<Long> each : replicas) {
                least = Math.min(least, call.await(each));
            }
            if (least == minReplicas) {
                return;
            }
            known = Long.toString(least);
        } catch (ExecutionException e) {
            failure = Failures.cause(e);
        } catch (TimeoutException e) {
            failure = e;
            leave(used);
        }
        boolean isIndex = answers.get(0).first().equals("INDEXED");
        String what = Failures.text(isIndex ? "INDEX_UNREPLICATED" : "UNREPLICATED");
        throw Failures.of(
                isIndex ? Outcome.UNCHANGED : Outcome.APPLIED_NOT_REPLICATED,
                call.scope.domain(),
                what.formatted(known, minReplicas),
                failure);
    }
}
