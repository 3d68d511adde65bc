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
    private final List<String> words;
    private final CommandType type;
    private final List<String> keys;
    private final List<String> arguments;

    private Request(
            @Nullable Script script, CommandType type, List<String> words, List<String> keys, String... arguments) {
        this.script = script;
        this.words = words;
        this.type = type;
        this.keys = keys;
        this.arguments = Arrays.asList(arguments);
    }

    static Request of(CommandType type, String key, String... arguments) {
        return of(type, List.of(key), arguments);
    }

    static Request of(CommandType type, List<String> keys, String... arguments) {
        return new Request(null, type, List.of(), keys, arguments);
    }

    static Request of(Script script, List<String> keys, String... arguments) {
        return new Request(script, CommandType.EVALSHA, List.of(), keys, arguments);
    }

    /** A request for the entries of streams, of each at most {@code count} that come after an id. */
    static Request read(int count, List<String> streams, String... ids) {
        return new Request(null, CommandType.XREAD, List.of("COUNT", Integer.toString(count), "STREAMS"), streams, ids);
    }

    String key() {
        return keys.get(0);
    }

    /** Whether the request is a change; the probe's temporary key does not count. */
    boolean changes() {
        return script != null && script != Script.PROBE && script != Script.HISTORY;
    }

    /** @param isWhole whether a script is sent in full instead of its digest */
    AsyncCommand<String, String, Answer> command(boolean isWhole) {
        var args = new CommandArgs<>(UTF8);
        if (script != null) {
            args.add(isWhole ? script.source : script.digest).add(keys.size());
        }
        words.forEach(args::add);
        args.addKeys(keys).addValues(arguments);
        return new AsyncCommand<>(
                new Command<>(script != null && isWhole ? CommandType.EVAL : type, new Answer(), args));
    }
}
