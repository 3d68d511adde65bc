package dev.curfew.redis;

import static io.lettuce.core.codec.StringCodec.UTF8;

import io.lettuce.core.output.CommandOutput;
import io.lettuce.core.output.ValueListOutput;
import io.lettuce.core.protocol.AsyncCommand;
import io.lettuce.core.protocol.Command;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** A request to the server that has its key. Each attempt makes a new command: a command can be sent only once. */
final class Request<T extends @Nullable Object> {
    final @Nullable Script script;
    final List<String> keys;
    private final CommandType type;
    private final Supplier<CommandOutput<String, String, T>> output;
    private final String[] arguments;

    private Request(
            @Nullable Script script,
            CommandType type,
            Supplier<CommandOutput<String, String, T>> output,
            List<String> keys,
            String... arguments) {
        this.script = script;
        this.type = type;
        this.output = output;
        this.keys = keys;
        this.arguments = arguments;
    }

    static <T extends @Nullable Object> Request<T> of(
            CommandType type, Supplier<CommandOutput<String, String, T>> output, String key, String... arguments) {
        return new Request<>(null, type, output, List.of(key), arguments);
    }

    static Request<List<String>> of(Script script, List<String> keys, String... arguments) {
        return new Request<>(script, CommandType.EVALSHA, () -> new ValueListOutput<>(UTF8), keys, arguments);
    }

    /** Whether the request is a change; the probe's temporary key does not count. */
    boolean changes() {
        return script != null && script != Script.PROBE;
    }

    /** @param whole whether a script is sent in full instead of its digest */
    AsyncCommand<String, String, T> command(boolean whole) {
        var args = new CommandArgs<>(UTF8);
        if (script != null) {
            args.add(whole ? script.source : script.digest).add(keys.size());
        }
        args.addKeys(keys);
        for (String argument : arguments) {
            args.add(argument);
        }
        return new AsyncCommand<>(new Command<>(script != null && whole ? CommandType.EVAL : type, output.get(), args));
    }
}
