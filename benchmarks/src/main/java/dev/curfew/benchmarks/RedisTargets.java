package dev.curfew.benchmarks;

import io.lettuce.core.RedisClient;
import io.lettuce.core.ScriptOutputType;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.api.sync.RedisCommands;
import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.output.BooleanOutput;
import io.lettuce.core.output.CommandOutput;
import io.lettuce.core.output.ValueListOutput;
import io.lettuce.core.protocol.AsyncCommand;
import io.lettuce.core.protocol.Command;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutionException;

/** On the Redis of {@link Servers}; all threads share one connection, as Lettuce has it. */
final class RedisTargets {
    private RedisTargets() {}

    static Target open(String who, RedisClient client, int records) {
        return switch (who) {
            case "limit" -> new LettuceLimit(client, records);
            case "session" -> SpringPeers.redisSessions();
            case "setex" -> new SetexDenyList(client.connect());
            default -> throw new IllegalArgumentException("There is no " + who + " in Redis");
        };
    }

    static long usedMemory(RedisClient client) {
        try (StatefulRedisConnection<String, String> connection = client.connect()) {
            String info = connection.sync().info("memory");
            return info.lines()
                    .filter(line -> line.startsWith("used_memory:"))
                    .mapToLong(line -> Long.parseLong(line.substring(line.indexOf(':') + 1)))
                    .sum();
        }
    }

    /** The bare commands, on the hashes that Curfew has written; what changes one is a script of its own. */
    private static final class LettuceLimit implements Target {
        private static final String PUT = """
                redis.call('HSET', KEYS[1], 's', ARGV[1], 'p', ARGV[2], 'i', ARGV[3], 'e', ARGV[4], 'c', ARGV[3], 'u', ARGV[3])
                redis.call('PEXPIREAT', KEYS[1], ARGV[4])
                return 1""";
        private static final String REVOKE = PUT.replace("'u', ARGV[3]", "'u', ARGV[3], 'r', ARGV[3]");
        private static final String USE = """
                if redis.call('HSETNX', KEYS[1], 'r', ARGV[1]) == 0 then
                  return {}
                end
                return redis.call('HGETALL', KEYS[1])""";

        private final StatefulRedisConnection<String, String> connection;
        private final RedisCommands<String, String> redis;
        private final String domain;
        private final String put;
        private final String revoke;
        private final String use;
        private final String now = Long.toString(Data.now().toEpochMilli());
        private final String end = Long.toString(Data.now().plus(Data.LIFETIME).toEpochMilli());

        LettuceLimit(RedisClient client, int records) {
            this.connection = client.connect();
            this.redis = connection.sync();
            this.domain = Data.domain(records);
            this.put = redis.scriptLoad(PUT);
            this.revoke = redis.scriptLoad(REVOKE);
            this.use = redis.scriptLoad(USE);
        }

        /** The key of a record or a watermark, in the partition in which Curfew has it. */
        private String key(String kind, String name) {
            int partition = Integer.remainderUnsigned(name.hashCode(), 997) % 16;
            return "curfew:{" + domain + ':' + (char) ('a' + partition) + ".}::" + kind + ':' + name;
        }

        @Override
        public Object isRevoked(String jti) {
            return redis.hexists(key("token", jti), "r");
        }

        @Override
        public Object revoked(List<String> jtis) {
            List<AsyncCommand<String, String, Boolean>> commands = new ArrayList<>(jtis.size());
            for (String jti : jtis) {
                commands.add(
                        command(CommandType.HEXISTS, new BooleanOutput<>(StringCodec.UTF8), key("token", jti), "r"));
            }
            connection.dispatch(commands);
            Set<String> revoked = new HashSet<>();
            for (int i = 0; i < commands.size(); i++) {
                if (answer(commands.get(i))) {
                    revoked.add(jtis.get(i));
                }
            }
            return revoked;
        }

        @Override
        public Object check(String jti, String subject) {
            AsyncCommand<String, String, List<String>> record = command(
                    CommandType.HMGET,
                    new ValueListOutput<>(StringCodec.UTF8),
                    key("token", jti),
                    "s",
                    "p",
                    "i",
                    "e",
                    "c",
                    "u",
                    "r");
            AsyncCommand<String, String, List<String>> watermark =
                    command(CommandType.HMGET, new ValueListOutput<>(StringCodec.UTF8), key("watermark", subject), "r");
            connection.dispatch(List.of(record, watermark));
            return List.of(answer(record), String.valueOf((Object) answer(watermark)));
        }

        private static <T> AsyncCommand<String, String, T> command(
                CommandType type, CommandOutput<String, String, T> output, String key, String... more) {
            CommandArgs<String, String> args = new CommandArgs<>(StringCodec.UTF8).addKey(key);
            for (String each : more) {
                args.add(each);
            }
            return new AsyncCommand<>(new Command<>(type, output, args));
        }

        private static <T> T answer(AsyncCommand<String, String, T> command) {
            try {
                return command.get();
            } catch (ExecutionException | InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }

        @Override
        public Object store(String jti) {
            return script(put, jti);
        }

        @Override
        public Object revoke(String jti) {
            return script(revoke, jti);
        }

        private Object script(String script, String jti) {
            return redis.<Long>evalsha(
                    script, ScriptOutputType.INTEGER, new String[] {key("token", jti)}, jti, "user", now, end);
        }

        @Override
        public Object consume(String jti) {
            List<String> fields = redis.evalsha(use, ScriptOutputType.MULTI, new String[] {key("token", jti)}, now);
            if (fields.isEmpty()) {
                throw new IllegalStateException("A token that was just stored could not be used");
            }
            return fields;
        }

        @Override
        public void close() {
            connection.close();
        }
    }

    /** A deny-list as it is often written: SETEX to revoke, EXISTS to ask. */
    private record SetexDenyList(StatefulRedisConnection<String, String> connection) implements Target {
        private static final String PREFIX = "denied:";

        @Override
        public Object isRevoked(String jti) {
            return connection.sync().exists(PREFIX + jti) == 1;
        }

        @Override
        @SuppressWarnings("deprecation") // as it is often written
        public Object revoke(String jti) {
            return connection.sync().setex(PREFIX + jti, Data.LIFETIME.toSeconds(), "1");
        }

        @Override
        public void close() {
            connection.close();
        }
    }
}
