package dev.curfew.redis;

import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.api.async.RedisAsyncCommands;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Examines the server when the store is opened. */
final class Probe {
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
     * @throws TokenStoreException if the store cannot work with this server at all
     */
    Set<String> findings() {
        link.masters(call).forEach(this::look);
        // One master is enough: a user has the same rights on all of them, unless the operator has decided otherwise.
        String unused = call.keys.unused(UUID.randomUUID().toString());
        Answer refusal = answer("EVALSHA", () -> link.ask(call, Request.of(Script.PROBE, List.of(unused))));
        if (refusal != null && refusal.size() > 0) {
            String command = refusal.first();
            switch (Failures.code(String.valueOf(refusal.text(1)))) {
                case "NOPERM" -> lacksRight(command);
                case "READONLY" -> throw refusal("REPLICA");
                case "OOM" -> findings.add("it has reached its maxmemory, and takes no more: raise maxmemory");
                default -> findings.add("it refused a " + command + ", which Curfew needs");
            }
        }
        return findings;
    }

    private void look(StatefulRedisConnection<String, String> server) {
        RedisAsyncCommands<String, String> commands = server.async();
        String info = answer("INFO", () -> Link.await(call, () -> call.await(commands.info())));
        if (info == null) {
            return;
        }
        Map<String, String> facts = new HashMap<>();
        FIELD.matcher(info).results().forEach(field -> facts.put(field.group(1), field.group(2)));
        if (!link.isInCluster() && "1".equals(facts.get("cluster_enabled"))) {
            throw refusal("CLUSTER_NODE");
        }
        if ("slave".equals(facts.get("role"))) {
            throw refusal("REPLICA");
        }
        if (!"0".equals(facts.get("aof_enabled"))) {
            try {
                facts.putAll(Link.await(call, () -> call.await(commands.configGet("*append*"))));
            } catch (TokenStoreException e) {
                // Many providers of Redis as a service refuse this command.
                facts.put("unseen", Boolean.toString(isStrict));
            }
        }
        Script.file("findings.txt").lines().map(line -> line.split(" ", 3)).forEach(rule -> {
            String value = facts.getOrDefault(rule[0], "");
            if (value.matches(rule[1])) {
                findings.add(rule[2].replace("$", value));
            }
        });
        if (minReplicas > 0) {
            answer("WAIT", () -> Link.await(call, () -> call.await(commands.waitForReplication(0, 1))));
            String replicas = facts.getOrDefault("connected_slaves", "0");
            if (Integer.parseInt(replicas) < minReplicas) {
                findings.add("it has " + replicas + " replicas, and minReplicas asks for " + minReplicas
                        + ", so that no revocation will succeed: start them");
            }
        }
    }

    /** The answer to a command; {@code null} if the user lacks the right to it, which is then one of the findings. */
    private <T> @Nullable T answer(String command, Supplier<T> asking) {
        try {
            return asking.get();
        } catch (TokenStoreException e) {
            if (!String.valueOf(e.getCause()).endsWith(", NOPERM")) {
                throw e;
            }
            lacksRight(command);
            return null;
        }
    }

    private void lacksRight(String command) {
        findings.add("the user lacks a right: " + command
                + ". Grant what Curfew's page on Redis lists, and the keys of the domain");
    }

    private TokenStoreException refusal(String why) {
        return new TokenStoreException(
                Outcome.UNCHANGED, "The Redis for domain '" + call.scope.domain() + "' " + Failures.text(why), null);
    }
}
