package dev.curfew.redis;

import static io.lettuce.core.codec.StringCodec.UTF8;

import io.lettuce.core.protocol.AsyncCommand;
import io.lettuce.core.protocol.Command;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A request to the server that has its key. Each attempt makes a new command: a command can be sent only once. */
final class Request {
    private final @Nullable Script script;
    private final CommandType type;
    private final List<String> keys;
    private final List<String> arguments;

    private Request(@Nullable Script script, CommandType type, List<String> keys, String... arguments) {
        this.script = script;
        this.type = type;
        this.keys = keys;
        this.arguments = Arrays.asList(arguments);
    }

    static Request of(CommandType type, String key, String... arguments) {
        return of(type, List.of(key), arguments);
    }

    static Request of(CommandType type, List<String> keys, String... arguments) {
        return new Request(null, type, keys, arguments);
    }

    static Request of(Script script, List<String> keys, String... arguments) {
        return new Request(script, CommandType.EVALSHA, keys, arguments);
    }

    String key() {
        return keys.get(0);
    }

    /** Whether the request is a change; the probe's temporary key does not count. */
    boolean changes() {
        return script != null && script != Script.PROBE;
    }

    /** @param isWhole whether a script is sent in full instead of its digest */
    AsyncCommand<String, String, Answer> command(boolean isWhole) {
        var args = new CommandArgs<>(UTF8);
        if (script != null) {
            args.add(isWhole ? script.source : script.digest).add(keys.size());
        }
        args.addKeys(keys).addValues(arguments);
        return new AsyncCommand<>(
                new Command<>(script != null && isWhole ? CommandType.EVAL : type, new Answer(), args));
    }
}
