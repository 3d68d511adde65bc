package dev.curfew.redis;

import static io.lettuce.core.codec.StringCodec.UTF8;

import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.redis.Failures.NotSentException;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.api.StatefulConnection;
import io.lettuce.core.cluster.SlotHash;
import io.lettuce.core.cluster.api.StatefulRedisClusterConnection;
import io.lettuce.core.cluster.models.partitions.RedisClusterNode;
import io.lettuce.core.output.IntegerOutput;
import io.lettuce.core.output.StatusOutput;
import io.lettuce.core.protocol.AsyncCommand;
import io.lettuce.core.protocol.Command;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import io.lettuce.core.protocol.RedisCommand;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * Sends changes in groups, with one {@code WAIT} for each group. Each change goes to the server that has its key. While
 * a group is under way on a connection, further changes are collected for the next group. The changes of each call are
 * followed by a {@code SET} of a temporary key: a replica that has this {@code SET} has all earlier writes too, also
 * those of other clients.
 */
final class GroupCommit {
    /** Answers of a script that has changed nothing, so that no replica needs to be waited for. */
    private static final Set<String> NOTHING_TO_KEEP = Set.of("UNKNOWN", "EXPIRED");

    /** Used for these changes only, since a {@code WAIT} delays every later command on its connection. */
    final Connection connection;

    private final int replicas;
    private final AtomicLong disconnects;
    private final Map<StatefulConnection<String, String>, Group> next = new HashMap<>();
    private final Map<StatefulConnection<String, String>, Group> running = new HashMap<>();

    /** @param disconnects how many connections were lost; after a loss, the answer to a {@code WAIT} does not count */
    GroupCommit(Connection connection, int replicas, AtomicLong disconnects) {
        this.connection = connection;
        this.replicas = replicas;
        this.disconnects = disconnects;
    }

    private static final class Group {
        /** A key that the server has, and that no record uses. */
        final String unused;

        final List<RedisCommand<String, String, ?>> commands = new ArrayList<>();
        final List<Call> calls = new ArrayList<>();
        final CompletableFuture<Long> replicas = new CompletableFuture<>();

        Group(String unused) {
            this.unused = unused;
        }
    }

    /**
     * Sends the changes. Answers, for each server, how many replicas have them; this is known after the answers to the
     * commands.
     */
    List<CompletableFuture<Long>> dispatch(
            Call call,
            StatefulConnection<String, String> connection,
            Request<?>[] requests,
            RedisFuture<?>[] commands,
            boolean isWhole)
            throws ExecutionException, InterruptedException, TimeoutException {
        Map<StatefulConnection<String, String>, List<Integer>> byServer = new LinkedHashMap<>();
        for (int i = 0; i < requests.length; i++) {
            byServer.computeIfAbsent(server(call, connection, requests[i]), each -> new ArrayList<>())
                    .add(i);
        }
        List<CompletableFuture<Long>> waits = new ArrayList<>();
        byServer.forEach((server, indexes) -> {
            List<RedisCommand<String, String, ?>> group = new ArrayList<>();
            for (int i : indexes) {
                AsyncCommand<String, String, ?> command = requests[i].command(isWhole);
                commands[i] = command;
                group.add(command);
            }
            String key = requests[indexes.get(0)].keys.get(0);
            waits.add(join(server, call, group, new Keys(call.scope).neighbour(key)));
        });
        return waits;
    }

    /** Waits until the replicas have the changes, unless the answers say that nothing was changed. */
    void await(
            Call call,
            StatefulConnection<String, String> used,
            Request<?>[] requests,
            @Nullable Object[] answers,
            List<CompletableFuture<Long>> waits)
            throws InterruptedException {
        if (Arrays.stream(answers).allMatch(answer -> NOTHING_TO_KEEP.contains(((List<?>) answer).get(0)))) {
            return;
        }
        boolean isIndex = requests[0].script == Script.INDEX;
        String known = "nobody knows how many";
        Throwable failure = null;
        try {
            long least = replicas;
            for (CompletableFuture<Long> wait : waits) {
                least = Math.min(least, call.await(wait));
            }
            if (least == replicas) {
                return;
            }
            known = Long.toString(least);
        } catch (ExecutionException e) {
            failure = Failures.cause(e);
        } catch (TimeoutException e) {
            failure = e;
            connection.leave(used);
        }
        boolean lacksRight = failure != null && Failures.is(failure, "NOPERM");
        throw Failures.of(
                isIndex ? Outcome.UNCHANGED : Outcome.APPLIED_NOT_REPLICATED,
                call.scope.domain(),
                known + " of the " + replicas + " replicas that minReplicas asks for have the "
                        + (isIndex ? "subject's index. " : "revocation. ")
                        + (lacksRight ? "Grant the user +wait" : "Look at the replicas") + ", and try again",
                failure);
    }

    private static StatefulConnection<String, String> server(
            Call call, StatefulConnection<String, String> connection, Request<?> request)
            throws ExecutionException, InterruptedException, TimeoutException {
        if (!(connection instanceof StatefulRedisClusterConnection<String, String> cluster)) {
            return connection;
        }
        RedisClusterNode master = cluster.getPartitions().getMasterBySlot(SlotHash.getSlot(request.keys.get(0)));
        if (master == null) {
            throw new NotSentException("UNSERVED");
        }
        return call.await(Link.node(cluster, master));
    }

    private synchronized CompletableFuture<Long> join(
            StatefulConnection<String, String> server,
            Call call,
            List<RedisCommand<String, String, ?>> commands,
            String unused) {
        Group group = next.computeIfAbsent(server, each -> new Group(unused));
        group.commands.addAll(commands);
        group.calls.add(call);
        if (!running.containsKey(server)) {
            begin(server);
        }
        return group.replicas;
    }

    private void begin(StatefulConnection<String, String> server) {
        Group group = next.remove(server);
        if (group == null) {
            return;
        }
        running.put(server, group);
        // Three quarters of the time that is left, so that the answer to the WAIT comes in time.
        long millis = group.calls.stream().mapToLong(Call::left).max().orElse(0) / 4 * 3 / 1_000_000;
        var temporary =
                new CommandArgs<>(UTF8).addKey(group.unused).add("").add("PX").add(1000);
        var write = new AsyncCommand<>(new Command<>(CommandType.SET, new StatusOutput<>(UTF8), temporary));
        var args = new CommandArgs<>(UTF8).add(replicas).add(Math.max(1, millis));
        var wait = new AsyncCommand<>(new Command<>(CommandType.WAIT, new IntegerOutput<>(UTF8), args));
        long before = disconnects.get();
        var unused = wait.whenComplete((answer, thrown) -> {
            // First of all, since the next group must be sent even if this one has failed.
            synchronized (this) {
                running.remove(server, group);
                begin(server);
            }
            try {
                if (thrown != null) {
                    group.replicas.completeExceptionally(thrown);
                } else {
                    write.join(); // if it was refused, the WAIT is for an earlier write
                    group.replicas.complete(disconnects.get() == before ? answer : 0L);
                }
            } catch (CompletionException | CancellationException e) {
                group.replicas.completeExceptionally(e);
            }
        });
        group.commands.add(write);
        group.commands.add(wait);
        try {
            server.dispatch(group.commands);
        } catch (RuntimeException e) {
            wait.completeExceptionally(e);
        }
    }
}
