package dev.curfew.redis;

import static io.lettuce.core.codec.StringCodec.UTF8;

import dev.curfew.Deadline;
import dev.curfew.TokenStoreException;
import dev.curfew.redis.Failures.NotSentException;
import io.lettuce.core.AbstractRedisClient;
import io.lettuce.core.RedisChannelHandler;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisConnectionStateListener;
import io.lettuce.core.RedisException;
import io.lettuce.core.api.StatefulConnection;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.cluster.ClusterClientOptions;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.cluster.api.StatefulRedisClusterConnection;
import io.lettuce.core.cluster.models.partitions.RedisClusterNode;
import io.lettuce.core.protocol.AsyncCommand;
import io.lettuce.core.protocol.CommandType;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import java.util.regex.Pattern;

/**
 * Sends requests to the server, and waits no longer than the call may take. While there is no connection, a request is
 * repeated for up to a second; the server recognises the repetition of a change by the mark of its call. The driver
 * finds the server: it reconnects, asks the sentinels, and follows the slots of a cluster.
 */
final class Link implements RedisConnectionStateListener {
    private static final long PAUSE_MILLIS = 10;
    // Sentinels need some ten seconds to tell a former master that it is one.
    private static final int YOUNG_SECONDS = 60;
    private static final int PATIENCE_SECONDS = 2;
    private static final Duration NEXT_LOOK = Duration.ofMillis(250);
    private static final Pattern FACT = Pattern.compile("(?m)^(role|uptime_in_seconds|connected_slaves):(\\w+)");

    private final AbstractRedisClient client;
    private final AtomicLong disconnects = new AtomicLong();
    private final int minReplicas;
    final Connection questions;
    private final Connection changes;
    private final Set<Connection> lines;
    /** The connections to servers that were started lately, and when to look at each server again. */
    private final Map<StatefulConnection<String, String>, Deadline> young = new ConcurrentHashMap<>();

    private volatile boolean closed;

    Link(AbstractRedisClient client, int minReplicas) {
        this.client = client;
        this.minReplicas = minReplicas;
        this.questions = new Connection(connector());
        this.changes = minReplicas == 0 ? questions : new GroupCommit(this::connect, minReplicas, disconnects::get);
        this.lines = new LinkedHashSet<>(List.of(questions, changes));
        client.addListener(this);
    }

    private StatefulConnection<String, String> connect() {
        return client instanceof RedisClusterClient cluster
                ? cluster.connect(UTF8)
                : ((RedisClient) client).connect(UTF8);
    }

    /**
     * Makes the connections for questions. With replicas to wait for, the server of each is looked at. In a cluster a former
     * master that returns does not answer before it has heard from the others.
     */
    private Supplier<StatefulConnection<String, String>> connector() {
        var isFirst = new AtomicBoolean(true);
        return looksAtMaster() ? () -> connectToMaster(isFirst.getAndSet(false)) : this::connect;
    }

    private boolean looksAtMaster() {
        return minReplicas > 0 && !isInCluster();
    }

    /**
     * Connects, and refuses a server that may not know of revocations that were acknowledged: a replica, or a former master
     * that has come back, and that a sentinel still takes for the master. Such a server was started lately, and has
     * too few replicas. The first connection is not looked at, so that the store can be opened on a server that waits for
     * its replicas: the probe warns of that.
     */
    private StatefulConnection<String, String> connectToMaster(boolean isFirst) {
        StatefulRedisConnection<String, String> connection = ((RedisClient) client).connect(UTF8);
        if (isFirst) {
            return connection;
        }
        boolean isKept = false;
        try {
            String info = connection.async().info().get(PATIENCE_SECONDS, TimeUnit.SECONDS);
            isKept = mayAnswer(connection, info);
            if (!isKept) {
                throw new NotSentException("FORMER_MASTER");
            }
            return connection;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new NotSentException("INTERRUPTED");
        } catch (ExecutionException | TimeoutException e) {
            isKept = Failures.is(Failures.cause(e), "NOPERM"); // the probe has warned
            if (!isKept) {
                throw new RedisException(Failures.cause(e));
            }
            return connection;
        } finally {
            if (!isKept) {
                young.remove(connection);
                var unused = connection.closeAsync();
            }
        }
    }

    private boolean mayAnswer(StatefulConnection<String, String> connection, String info) {
        Map<String, String> facts = new HashMap<>();
        FACT.matcher(info).results().forEach(fact -> facts.put(fact.group(1), fact.group(2)));
        long replicas = Long.parseLong(facts.getOrDefault("connected_slaves", "0"));
        long uptime = Long.parseLong(facts.getOrDefault("uptime_in_seconds", "" + YOUNG_SECONDS));
        boolean isYoung = uptime < YOUNG_SECONDS;
        young.keySet().removeIf(each -> !each.isOpen()); // those that were left
        if (isYoung) {
            young.put(connection, Deadline.after(NEXT_LOOK));
        } else {
            young.remove(connection);
        }
        return !"slave".equals(facts.get("role")) && !(isYoung && replicas < minReplicas);
    }

    /** Looks again at a server that was started lately: replicas that follow a former master for a moment leave it. */
    private void lookAgain(Call call, StatefulConnection<String, String> connection)
            throws InterruptedException, ExecutionException, TimeoutException {
        Deadline next = young.get(connection);
        if (next == null || !next.isOver() || !young.replace(connection, next, Deadline.after(NEXT_LOOK))) {
            return; // one call looks
        }
        AsyncCommand<String, String, Answer> info =
                Request.of(CommandType.INFO, List.of()).command(false);
        connection.dispatch(info);
        if (!mayAnswer(connection, call.await(info).first())) {
            young.remove(connection);
            questions.leave(connection);
            throw new NotSentException("FORMER_MASTER");
        }
    }

    /**
     * Counts lost connections. After one, an application's client may send a command again, and the answer is then that
     * of the repetition.
     */
    @Override
    public void onRedisDisconnected(RedisChannelHandler<?, ?> connection) {
        if (!connection.isClosed()) {
            disconnects.incrementAndGet();
            if (looksAtMaster()) {
                young.remove(connection);
                questions.leave(connection);
            }
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
    Answer ask(Call call, Request request) {
        return ask(call, List.of(request)).get(0);
    }

    /** Sends several requests at once: one round trip to each server that has some of the keys. */
    List<Answer> ask(Call call, List<Request> requests) {
        return ask(call, questions, requests);
    }

    /** Sends changes, and waits until as many replicas as {@code minReplicas} says have them. */
    List<Answer> change(Call call, List<Request> requests) {
        return ask(call, changes, requests);
    }

    private List<Answer> ask(Call call, Connection line, List<Request> requests) {
        ensureOpen();
        boolean isWhole = false;
        boolean isUnsure = false;
        boolean isRepetition = false;
        while (true) {
            long answeredBefore = line.answered.sum();
            long disconnectsBefore = disconnects.get();
            long leftBefore = call.left();
            List<AsyncCommand<String, String, Answer>> commands = new ArrayList<>(requests.size());
            for (Request request : requests) {
                commands.add(request.command(isWhole));
            }
            StatefulConnection<String, String> connection = null;
            Throwable failure;
            try {
                if (isRepetition) {
                    Thread.sleep(PAUSE_MILLIS);
                }
                connection = line.open(call);
                if (!connection.isOpen()) {
                    // The driver would reconnect it, but would not tell why it fails to.
                    line.leave(connection);
                    throw new NotSentException("DISCONNECTED");
                }
                if (line == questions) {
                    lookAgain(call, connection);
                }
                List<CompletableFuture<Long>> replicas = List.of();
                if (line instanceof GroupCommit group) {
                    replicas = group.send(call, connection, requests, commands);
                } else if (isInCluster()) {
                    // If a cluster's connection is given several commands at once, and has no connection yet to one of
                    // their nodes, it blocks.
                    for (AsyncCommand<String, String, Answer> command : commands) {
                        connection.dispatch(command);
                    }
                } else {
                    connection.dispatch(commands);
                }
                List<Answer> answers = new ArrayList<>(commands.size());
                for (AsyncCommand<String, String, Answer> command : commands) {
                    answers.add(call.await(command));
                }
                line.answered.increment();
                if (line instanceof GroupCommit group) {
                    group.awaitReplicas(call, connection, answers, replicas);
                }
                if (disconnects.get() == disconnectsBefore) {
                    return answers;
                }
                // The driver may have sent a command again, and then puts the reply behind what came of the first
                // reply.
                isUnsure = true;
                failure = new NotSentException("DISCONNECTED");
            } catch (TokenStoreException e) {
                throw e;
            } catch (InterruptedException | ExecutionException | TimeoutException | RuntimeException e) {
                // The driver also throws where another call has closed the connection meanwhile.
                failure = Failures.cause(e);
            } finally {
                // A command whose call has failed must not be sent later.
                commands.forEach(command -> command.cancel(true));
            }
            boolean isInterrupted = failure instanceof InterruptedException;
            if (isInterrupted) {
                Thread.currentThread().interrupt();
            }
            ensureOpen();
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
                    && (!isRefusal || requests.size() > 1 || disconnects.get() != disconnectsBefore);
            boolean isGroup = line instanceof GroupCommit;
            boolean hasMoved = isGroup && (Failures.is(failure, "MOVED") || Failures.is(failure, "ASK"));
            if (isGroup && !isRepetition && (hasMoved || !isRefusal) && client instanceof RedisClusterClient cluster) {
                // The driver refreshes its view by itself, but not after the failure of a command to one node.
                var unused = cluster.refreshPartitionsAsync();
            }
            boolean isSilence = Failures.isSilence(failure);
            if ((isRefusal && !hasMoved) || isSilence || isInterrupted || !call.mayRetry()) {
                boolean isSilent = isSilence
                        && call.isMostlyGoneSince(leftBefore)
                        && (isInCluster() || line.answered.sum() == answeredBefore);
                if (connection != null && (isSilent || Failures.is(failure, "READONLY"))) {
                    line.leave(connection);
                }
                boolean isChange = requests.stream().anyMatch(Request::changes);
                throw Failures.of(call.scope.domain(), failure, isChange, isUnsure);
            }
            isRepetition = true;
        }
    }

    /** The connections to all masters. After this call, all connections that the store uses are made. */
    List<StatefulRedisConnection<String, String>> masters(Call call) {
        ensureOpen();
        return await(call, () -> {
            List<StatefulRedisConnection<String, String>> masters = new ArrayList<>();
            for (Connection line : lines) {
                masters.clear();
                StatefulConnection<String, String> connection = line.open(call);
                if (connection instanceof StatefulRedisClusterConnection<String, String> cluster) {
                    for (RedisClusterNode node : cluster.getPartitions()) {
                        if (!node.getSlots().isEmpty()) {
                            masters.add(call.await(node(cluster, node)));
                        }
                    }
                } else {
                    masters.add((StatefulRedisConnection<String, String>) connection);
                }
            }
            return masters;
        });
    }

    static CompletableFuture<StatefulRedisConnection<String, String>> node(
            StatefulRedisClusterConnection<String, String> cluster, RedisClusterNode node) {
        return cluster.getConnectionAsync(node.getUri().getHost(), node.getUri().getPort());
    }

    /** Waits for something that changes nothing. */
    static <T> T await(Call call, Callable<T> waiting) {
        try {
            return waiting.call();
        } catch (Exception e) {
            if (e instanceof InterruptedException) {
                Thread.currentThread().interrupt();
            }
            throw Failures.of(call.scope.domain(), Failures.cause(e), false, false);
        }
    }

    void ensureOpen() {
        if (closed) {
            throw new IllegalStateException("The Redis store is closed; open a new one");
        }
    }

    /** Closes the connections; answers whether they were open. */
    synchronized boolean close() {
        if (closed) {
            return false;
        }
        closed = true;
        client.removeListener(this);
        try {
            CompletableFuture.allOf(lines.stream().map(Connection::close).toArray(CompletableFuture[]::new))
                    .get(1, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (ExecutionException | TimeoutException e) {
            // The store is closed, whether the connections could be closed in time or not.
        }
        return true;
    }
}
