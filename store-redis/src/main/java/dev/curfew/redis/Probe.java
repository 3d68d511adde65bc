package dev.curfew.redis;

import dev.curfew.StoreScope;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import io.lettuce.core.api.StatefulConnection;
import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.output.CommandOutput;
import io.lettuce.core.output.IntegerOutput;
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

    private final Link link;
    private final StoreScope scope;
    private final CallTime time;
    private final boolean cluster;
    private final boolean strict;
    private final int minReplicas;
    // What is wrong, and what to do about it; the same on three masters is said once.
    private final Set<String> findings = new LinkedHashSet<>();

    /** @param strict whether what cannot be seen counts as wrong */
    Probe(Link link, StoreScope scope, boolean cluster, boolean strict, int minReplicas) {
        this.link = link;
        this.scope = scope;
        this.time = new CallTime(scope.deadline());
        this.cluster = cluster;
        this.strict = strict;
        this.minReplicas = minReplicas;
    }

    /**
     * What may lose revocations, or will fail.
     *
     * @param unused a name for a key that nobody else has
     * @throws TokenStoreException if there is no working with this server at all
     */
    Set<String> findings(String unused) {
        for (StatefulConnection<String, String> master : link.masters(scope, time)) {
            look(master);
        }
        // To one of them: what the user may do is set up alike, or an operator's own affair.
        try {
            List<String> refusal = link.ask(scope, time, Request.of(Script.PROBE, Keys.probe(scope, unused)));
            if (!refusal.isEmpty()) {
                refused(refusal.get(0), refusal.get(1));
            }
        } catch (TokenStoreException e) {
            refusedAtAll("EVALSHA", e);
        }
        return findings;
    }

    private void refusedAtAll(String command, TokenStoreException e) {
        if (!Failures.lacksRight(e)) {
            throw e;
        }
        refused(command, "NOPERM");
    }

    private void look(StatefulConnection<String, String> server) {
        String info;
        try {
            info = ask(server, CommandType.INFO, new StatusOutput<>(StringCodec.UTF8));
        } catch (TokenStoreException e) {
            refusedAtAll("INFO", e);
            return;
        }
        if (!cluster && "1".equals(value(info, "cluster_enabled"))) {
            throw refusal("is a node of a cluster. Open it by redis-cluster://, or by a RedisClusterClient");
        }
        if ("slave".equals(value(info, "role"))) {
            throw refusal(
                    "is a replica, which may not have the latest revocations yet. Connect to its master, or by way of"
                            + " the sentinels");
        }
        String version = value(info, "redis_version");
        if (version.matches("[0-5]\\..*|6\\.[01]\\..*")) {
            findings.add("Redis " + version + " is too old: take 6.2 or later");
        }
        if (minReplicas > 0) {
            lookAtReplicas(server, info);
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
        } else if (strict && settings.isEmpty()) {
            findings.add("whether its append-only file is always synced cannot be seen: grant +config|get");
        } else if (!"always".equals(settings.getOrDefault("appendfsync", "always"))) {
            findings.add("its appendfsync is " + settings.get("appendfsync")
                    + ", so that a failing machine loses the last revocations: set it to always");
        } else if ("yes".equals(settings.get("no-appendfsync-on-rewrite"))) {
            findings.add(
                    "its no-appendfsync-on-rewrite is yes, so that a machine that fails meanwhile loses revocations:"
                            + " set it to no");
        }
    }

    private void lookAtReplicas(StatefulConnection<String, String> server, String info) {
        try {
            ask(server, CommandType.WAIT, new IntegerOutput<>(StringCodec.UTF8), "0", "1");
        } catch (TokenStoreException e) {
            refusedAtAll("WAIT", e);
        }
        String connected = value(info, "connected_slaves");
        if (connected.isEmpty() || Integer.parseInt(connected) < minReplicas) {
            findings.add("it has " + (connected.isEmpty() ? "no" : connected) + " replicas, and minReplicas asks for "
                    + minReplicas + ", so that no revocation will succeed: start them");
        }
    }

    private void refused(String command, String error) {
        if (Failures.lacksRight(error)) {
            Matcher name = Pattern.compile(NAME_OF_A_COMMAND).matcher(error);
            findings.add(
                    "the user lacks a right: " + (name.find() ? name.group(1).toUpperCase(Locale.ROOT) : command)
                            + ". Grant what Curfew's page on Redis lists, and the keys of the domain");
        } else if (error.contains("READONLY")) {
            throw refusal("is a replica, which takes no writes. Connect to its master, or by way of the sentinels");
        } else if (error.contains("OOM")) {
            findings.add("it has reached its maxmemory, and takes no more: raise maxmemory");
        } else {
            findings.add("it refused a " + command + ", which Curfew needs");
        }
    }

    private TokenStoreException refusal(String what) {
        return new TokenStoreException(
                Outcome.UNCHANGED, "The Redis for domain '" + scope.domain() + "' " + what, null);
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
            return time.await(command);
        } catch (ExecutionException | TimeoutException e) {
            throw Failures.of(scope.domain(), e, false, false);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw Failures.interrupted(scope.domain(), false);
        } finally {
            command.cancel(true);
        }
    }
}
