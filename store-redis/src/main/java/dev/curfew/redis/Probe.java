package dev.curfew.redis;

import dev.curfew.StoreScope;
import dev.curfew.TokenStoreException;
import io.lettuce.core.api.StatefulConnection;
import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.output.CommandOutput;
import io.lettuce.core.output.MapOutput;
import io.lettuce.core.output.StatusOutput;
import io.lettuce.core.protocol.AsyncCommand;
import io.lettuce.core.protocol.Command;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Looks at a server before it is trusted with revocations. */
final class Probe {
    private static final String NAME_OF_A_COMMAND = "'([a-z|]+)'";

    private final StoreScope scope;
    private final Deadline deadline;
    private final boolean cluster;
    // What is wrong, and what to do about it; the same on three masters is said once.
    private final Set<String> findings = new LinkedHashSet<>();

    private Probe(StoreScope scope, Deadline deadline, boolean cluster) {
        this.scope = scope;
        this.deadline = deadline;
        this.cluster = cluster;
    }

    /**
     * What may lose revocations, or will fail.
     *
     * @throws TokenStoreException if there is no working with this server at all
     */
    static Set<String> of(Link link, StoreScope scope, boolean cluster, String attempt) {
        var deadline = new Deadline(scope.deadline());
        var probe = new Probe(scope, deadline, cluster);
        for (StatefulConnection<String, String> master : link.masters(scope, deadline)) {
            probe.look(master);
        }
        // To one of them: what the user may do is set up alike, or an operator's own affair.
        try {
            List<String> refusal = link.ask(
                            scope, deadline, List.of(Request.of(Script.PROBE, Keys.probe(scope, attempt))))
                    .get(0);
            if (!refusal.isEmpty()) {
                probe.refused(refusal.get(0), refusal.get(1));
            }
        } catch (TokenStoreException e) {
            probe.refused("EVALSHA", String.valueOf(e.getMessage()));
        }
        return probe.findings;
    }

    private void look(StatefulConnection<String, String> server) {
        String info;
        try {
            info = ask(server, CommandType.INFO, new StatusOutput<>(StringCodec.UTF8));
        } catch (TokenStoreException e) {
            findings.add("the user may not call INFO, so that nothing is known of the server's settings: grant +info");
            return;
        }
        if (!cluster && "1".equals(value(info, "cluster_enabled"))) {
            throw new TokenStoreException(
                    "This Redis is a node of a cluster: open it by redis-cluster://, or by a" + " RedisClusterClient");
        }
        if ("slave".equals(value(info, "role"))) {
            throw new TokenStoreException("This Redis is a replica, which has not heard yet of the latest revocations:"
                    + " connect to its master, or by way of the sentinels");
        }
        String version = value(info, "redis_version");
        if (version.matches("[0-5]\\..*|6\\.[01]\\..*")) {
            findings.add("Redis " + version + " is too old: take 6.2 or later");
        }
        String policy = value(info, "maxmemory_policy");
        if (!policy.equals("noeviction")) {
            findings.add("its maxmemory-policy is " + policy
                    + ", which may evict revocations and make revoked tokens valid: set it to noeviction");
        }
        Map<String, String> settings;
        try {
            settings = ask(server, CommandType.CONFIG, new MapOutput<>(StringCodec.UTF8), "GET", "*append*");
        } catch (TokenStoreException e) {
            settings = Map.of(); // refused by many who offer Redis as a service
        }
        if (!"1".equals(value(info, "aof_enabled"))) {
            findings.add("it keeps no append-only file, and loses revocations when it is restarted or fails:"
                    + " set appendonly yes and appendfsync always");
        } else if (!"always".equals(settings.getOrDefault("appendfsync", "always"))) {
            findings.add("its appendfsync is " + settings.get("appendfsync")
                    + ", so that a failing machine loses the last revocations: set it to always");
        }
    }

    private void refused(String command, String error) {
        if (Failures.lacksRight(error)) {
            Matcher name = Pattern.compile(NAME_OF_A_COMMAND).matcher(error);
            findings.add(
                    "the user lacks a right: " + (name.find() ? name.group(1).toUpperCase(Locale.ROOT) : command)
                            + " on the keys of the" + " domain. Grant what Curfew's page on Redis lists");
        } else if (error.contains("READONLY")) {
            throw new TokenStoreException("This Redis is a replica, which takes no writes: connect to its master");
        } else if (error.contains("OOM")) {
            findings.add("it has reached its maxmemory, and takes no more: raise maxmemory");
        } else {
            findings.add("it refused a " + command + ", which Curfew needs");
        }
    }

    private static String value(String info, String field) {
        Matcher matcher = Pattern.compile("(?m)^" + field + ":([^\r\n]*)").matcher(info);
        return matcher.find() ? matcher.group(1) : "";
    }

    private <T> T ask(
            StatefulConnection<String, String> server,
            CommandType type,
            CommandOutput<String, String, T> output,
            String... words) {
        var args = new CommandArgs<>(StringCodec.UTF8);
        for (String word : words) {
            args.add(word);
        }
        var command = new AsyncCommand<>(new Command<>(type, output, args));
        server.dispatch(command);
        try {
            return deadline.await(command);
        } catch (ExecutionException | TimeoutException e) {
            throw Failures.of(scope.domain(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw Failures.interrupted(scope.domain());
        } finally {
            command.cancel(true);
        }
    }
}
