package dev.curfew.redis;

import io.lettuce.core.api.StatefulConnection;
import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.output.IntegerOutput;
import io.lettuce.core.protocol.AsyncCommand;
import io.lettuce.core.protocol.Command;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import io.lettuce.core.protocol.RedisCommand;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.ToLongFunction;

/**
 * Waits for replicas, on connections that nothing else is asked on, since a {@code WAIT} holds up what comes behind it.
 * One is under way on each; whoever comes meanwhile shares the next. What was changed, on another connection, is written
 * once more before it: a {@code WAIT} is for what was written on its own connection, and what is not there any more must
 * be told of.
 */
final class Replication {
    private final int replicas;
    private final ToLongFunction<StatefulConnection<String, String>> reconnects;
    private final LongAdder ended = new LongAdder();
    private final Map<StatefulConnection<String, String>, Turn> next = new HashMap<>();
    private final Map<StatefulConnection<String, String>, Turn> running = new HashMap<>();

    /** @param reconnects how often a connection has been lost: what is sent again then counts for nothing */
    Replication(int replicas, ToLongFunction<StatefulConnection<String, String>> reconnects) {
        this.replicas = replicas;
        this.reconnects = reconnects;
    }

    /** What is waited for together. */
    private static final class Turn {
        final List<RedisCommand<String, String, ?>> touches = new ArrayList<>();
        final CompletableFuture<Long> replicas = new CompletableFuture<>();
        long millis;
    }

    /** How many turns have ended. */
    long ended() {
        return ended.sum();
    }

    /**
     * How many replicas have all that was touched.
     *
     * @param touches those of {@code touch.lua}, whose answers are there when this is
     */
    synchronized CompletableFuture<Long> join(
            StatefulConnection<String, String> server,
            List<? extends RedisCommand<String, String, ?>> touches,
            CallTime time) {
        Turn turn = next.computeIfAbsent(server, each -> new Turn());
        turn.touches.addAll(touches);
        turn.millis = Math.max(turn.millis, time.forTheServer());
        if (!running.containsKey(server)) {
            begin(server);
        }
        return turn.replicas;
    }

    private void begin(StatefulConnection<String, String> server) {
        Turn turn = next.remove(server);
        if (turn == null) {
            return;
        }
        running.put(server, turn);
        var wait = new AsyncCommand<>(new Command<>(
                CommandType.WAIT,
                new IntegerOutput<>(StringCodec.UTF8),
                new CommandArgs<>(StringCodec.UTF8).add(replicas).add(turn.millis)));
        long before = reconnects.applyAsLong(server);
        var unused = wait.whenComplete((answered, thrown) -> {
            try {
                if (thrown != null) {
                    turn.replicas.completeExceptionally(thrown);
                } else {
                    turn.replicas.complete(reconnects.applyAsLong(server) == before ? answered : 0L);
                }
            } finally {
                // Whatever was thrown: the next turn must not wait for this one.
                ended.increment();
                synchronized (this) {
                    running.remove(server, turn);
                    begin(server);
                }
            }
        });
        turn.touches.add(wait);
        try {
            server.dispatch(turn.touches);
        } catch (RuntimeException e) {
            wait.completeExceptionally(e);
        }
    }
}
