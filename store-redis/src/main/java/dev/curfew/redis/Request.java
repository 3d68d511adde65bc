package dev.curfew.redis;

import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.output.CommandOutput;
import io.lettuce.core.output.ValueListOutput;
import io.lettuce.core.protocol.AsyncCommand;
import io.lettuce.core.protocol.Command;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** What is asked of the server that has a key, as often as it takes until it is there: by its digest, whole, elsewhere. */
final class Request<T extends @Nullable Object> {
    /** Where a node of a cluster says that the key is. */
    record Elsewhere(String host, int port, boolean asking) {}

    final String key;
    private final @Nullable String alsoKey;
    private final @Nullable Script script;
    private final CommandType type;
    private final Supplier<CommandOutput<String, String, T>> output;
    private final List<String> arguments;

    private boolean whole;

    @Nullable
    Elsewhere elsewhere;

    private Request(
            String key,
            @Nullable String alsoKey,
            @Nullable Script script,
            CommandType type,
            Supplier<CommandOutput<String, String, T>> output,
            List<String> arguments) {
        this.key = key;
        this.alsoKey = alsoKey;
        this.script = script;
        this.type = type;
        this.output = output;
        this.arguments = arguments;
    }

    static <T extends @Nullable Object> Request<T> of(
            CommandType type, Supplier<CommandOutput<String, String, T>> output, String key, String... arguments) {
        return new Request<>(key, null, null, type, output, List.of(arguments));
    }

    static Request<List<String>> of(Script script, String key, String... arguments) {
        return of(script, key, null, arguments);
    }

    /** @param alsoKey another one that the script is for, which the same server must have */
    static Request<List<String>> ofTwo(Script script, String key, String alsoKey, String... arguments) {
        return of(script, key, alsoKey, arguments);
    }

    private static Request<List<String>> of(Script script, String key, @Nullable String alsoKey, String[] arguments) {
        return new Request<>(
                key,
                alsoKey,
                script,
                CommandType.EVALSHA,
                () -> new ValueListOutput<>(StringCodec.UTF8),
                List.of(arguments));
    }

    /** The same, but sent whole at once, where there is no second attempt. */
    static Request<List<String>> whole(Script script, String key, String... arguments) {
        Request<List<String>> request = of(script, key, arguments);
        request.whole = true;
        return request;
    }

    boolean isScript() {
        return script != null;
    }

    /** Whether it is asked for the sake of what it changes. */
    boolean changes() {
        return script != null && script != Script.PROBE;
    }

    /** The command, to be sent once. */
    AsyncCommand<String, String, T> command() {
        var args = new CommandArgs<>(StringCodec.UTF8);
        if (script != null) {
            args.add(whole ? script.source : script.digest).add(alsoKey == null ? 1 : 2);
        }
        args.addKey(key);
        if (alsoKey != null) {
            args.addKey(alsoKey);
        }
        for (String argument : arguments) {
            args.add(argument);
        }
        return new AsyncCommand<>(new Command<>(whole ? CommandType.EVAL : type, output.get(), args));
    }

    /** Whether it was refused in a way that another attempt overcomes; then that is what it is for. */
    boolean overcomes(Throwable refusal) {
        if (script != null && !whole && Failures.is(refusal, "NOSCRIPT")) {
            whole = true;
            return true;
        }
        boolean asking = Failures.is(refusal, "ASK");
        if (asking || Failures.is(refusal, "MOVED")) {
            // MOVED 3999 127.0.0.1:6381
            String address = String.valueOf(refusal.getMessage()).replaceFirst(".* ", "");
            int colon = address.lastIndexOf(':');
            if (colon > 0) {
                elsewhere = new Elsewhere(
                        address.substring(0, colon), Integer.parseInt(address.substring(colon + 1)), asking);
                return true;
            }
        }
        return false;
    }
}
