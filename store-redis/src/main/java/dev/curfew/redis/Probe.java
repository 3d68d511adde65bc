package dev.curfew.redis;

import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.api.async.RedisAsyncCommands;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Examines the server when the store is opened. */
final class Probe {
    private static final Pattern COMMAND = Pattern.compile("'([a-z|]+)'");
    private static final Pattern FIELD = Pattern.compile("(?m)^([a-z_]+):([^\r\n]*)");

    private final Link link;
    private final Call call;
    private final boolean isStrict;
    private final int minReplicas;
    /** The problems, each with its remedy; a problem that three masters have is told once. */
    private final Set<String> findings = new LinkedHashSet<>();

    /** @param isStrict whether a setting that cannot be read counts as a problem */
    Probe(Link link, Call call, boolean isStrict, int minReplicas) {
        this.link = link;
        this.call = call;
        this.isStrict = isStrict;
        this.minReplicas = minReplicas;
    }

    /**
     * The settings that may lose revocations or make calls fail, each with its remedy.
     *
     * @param unused a key that nothing else uses
     * @throws TokenStoreException if the store cannot work with this server at all
     */
    Set<String> findings(String unused) {
        link.masters(call).forEach(this::look);
        // To one master only: a user has the same rights on all of them, or the operator has decided otherwise.
        try {
            List<String> refusal = link.ask(call, Request.of(Script.PROBE, List.of(unused)));
            if (!refusal.isEmpty()) {
                refused(refusal.get(0), refusal.get(1));
            }
        } catch (TokenStoreException e) {
            refusedAtAll("EVALSHA", e);
        }
        return findings;
    }

    private void look(StatefulRedisConnection<String, String> server) {
        RedisAsyncCommands<String, String> commands = server.async();
        Map<String, String> facts = new HashMap<>();
        try {
            FIELD.matcher(Link.await(call, commands.info()))
                    .results()
                    .forEach(field -> facts.put(field.group(1), field.group(2)));
        } catch (TokenStoreException e) {
            refusedAtAll("INFO", e);
            return;
        }
        if (!link.isInCluster() && "1".equals(facts.get("cluster_enabled"))) {
            throw refusal("is a node of a cluster. Open it by redis-cluster://, or by a RedisClusterClient");
        }
        if ("slave".equals(facts.get("role"))) {
            throw refusal(
                    "is a replica, which may not have the latest revocations yet. Connect to its master, or by way"
                            + " of the sentinels");
        }
        try {
            facts.putAll(Link.await(call, commands.configGet("*append*")));
        } catch (TokenStoreException e) {
            // Many providers of Redis as a service refuse this command.
            facts.put("unseen", Boolean.toString(isStrict));
        }
        boolean isFound = false;
        for (String line : Script.file("findings.txt").lines().toList()) {
            String[] parts = line.split(" ", 3);
            String value = facts.getOrDefault(parts[0], "");
            boolean isAboutDisk = parts[0].matches(".*(aof|append|unseen).*");
            if (value.matches(parts[1]) && !(isAboutDisk && isFound)) {
                findings.add(parts[2].replace("$", value));
                isFound |= isAboutDisk;
            }
        }
        if (minReplicas > 0) {
            try {
                Link.await(call, commands.waitForReplication(0, 1));
            } catch (TokenStoreException e) {
                refusedAtAll("WAIT", e);
            }
            String replicas = facts.getOrDefault("connected_slaves", "0");
            if (Integer.parseInt(replicas) < minReplicas) {
                findings.add("it has " + replicas + " replicas, and minReplicas asks for " + minReplicas
                        + ", so that no revocation will succeed: start them");
            }
        }
    }

    private void refusedAtAll(String command, TokenStoreException e) {
        if (!Failures.lacksRight(e)) {
            throw e;
        }
        refused(command, "NOPERM");
    }

    private void refused(String command, String error) {
        if (Failures.lacksRight(error)) {
            Matcher name = COMMAND.matcher(error);
            findings.add("the user lacks a right: "
                    + (name.find() ? name.group(1).toUpperCase(Locale.ROOT) : command)
                    + ". Grant what Curfew's page on Redis lists, and the keys of the domain");
        } else if (error.contains("READONLY")) {
            throw refusal("is a replica, which takes no writes. Connect to its master, or by way of the sentinels");
        } else {
            findings.add(
                    error.contains("OOM")
                            ? "it has reached its maxmemory, and takes no more: raise maxmemory"
                            : "it refused a " + command + ", which Curfew needs");
        }
    }

    private TokenStoreException refusal(String what) {
        return new TokenStoreException(
                Outcome.UNCHANGED, "The Redis for domain '" + call.scope.domain() + "' " + what, null);
    }
}
