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
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * Sends changes and one {@code WAIT} for all of them at once, each to the server that has its key. One group is under way
 * on a connection; the changes that come meanwhile are the next group. Before the {@code WAIT} stands a write of no
 * meaning: a replica that has it has all that was written to the server before, also by others.
 */
final class GroupCommit {
    /** Answers after which there is nothing that a replica must have. */
    private static final Set<String> NOTHING_TO_KEEP = Set.of("UNKNOWN", "EXPIRED");

    /** Of these alone, since a WAIT holds up all that is asked after it. */
    final Connection connection;

    private final int replicas;
    private final AtomicLong disconnects;
    private final Map<StatefulConnection<String, String>, Group> next = new HashMap<>();
    private final Map<StatefulConnection<String, String>, Group> running = new HashMap<>();

    /** @param disconnects how many connections were lost: a {@code WAIT} that the driver sends again counts for nothing */
    GroupCommit(Connection connection, int replicas, AtomicLong disconnects) {
        this.connection = connection;
        this.replicas = replicas;
        this.disconnects = disconnects;
    }

    private static final class Group {
        final List<RedisCommand<String, String, ?>> commands = new ArrayList<>();
        final List<Call> calls = new ArrayList<>();
        final CompletableFuture<Long> replicas = new CompletableFuture<>();
    }

    /** Answers how many replicas have the changes, for each server; known after the answers to the commands. */
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
            var args = new CommandArgs<>(UTF8).addKey(new Keys(call.scope).neighbour(key));
            group.add(new AsyncCommand<>(new Command<>(
                    CommandType.SET,
                    new StatusOutput<>(UTF8),
                    args.add("").add("PX").add(1000))));
            waits.add(join(server, call, group));
        });
        return waits;
    }

    /** Waits until the replicas have the changes, unless the answers say that there are none. */
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
            StatefulConnection<String, String> server, Call call, List<RedisCommand<String, String, ?>> commands) {
        Group group = next.computeIfAbsent(server, each -> new Group());
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
        // Three quarters of the time that is left, so that its answer comes in time.
        long millis = group.calls.stream().mapToLong(Call::left).max().orElse(0) / 4 * 3 / 1_000_000;
        var args = new CommandArgs<>(UTF8).add(replicas).add(Math.max(1, millis));
        var wait = new AsyncCommand<>(new Command<>(CommandType.WAIT, new IntegerOutput<>(UTF8), args));
        long before = disconnects.get();
        var unused = wait.whenComplete((answer, thrown) -> {
            // First of all: the next group must not wait for this one, whatever was thrown.
            synchronized (this) {
                running.remove(server, group);
                begin(server);
            }
            if (thrown != null) {
                group.replicas.completeExceptionally(thrown);
            } else {
                group.replicas.complete(disconnects.get() == before ? answer : 0L);
            }
        });
        group.commands.add(wait);
        try {
            server.dispatch(group.commands);
        } catch (RuntimeException e) {
            wait.completeExceptionally(e);
        }
    }
}
