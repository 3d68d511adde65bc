package dev.curfew.examples;

import dev.curfew.CurfewException;
import dev.curfew.TokenResource;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Shows what Curfew does: as a story, as a table of one's own tokens, or as a service to try with curl. */
public final class Quickstart {
    private static final String USAGE = """
            Usage: quickstart [--store URL] [--tokens FILE | --serve [PORT] | --replica]

              (neither)       tells the main job as a story, and fails if it comes out differently
              --tokens FILE   shows what Curfew reads in the JWTs of a file, one a line, and says of them
              --serve [PORT]  starts a small service to try with curl; port 8080 by default, 0 for any free one
              --replica       shows the local replica, by two nodes on one server, which you stop meanwhile
              --store URL     memory:, or the URL of a store whose adapter is on the class path, without a
                              password; by default what curfew.store.url or CURFEW_STORE_URL says, else memory
              --help          shows this
            """;
    private static final Pattern PASSWORD =
            Pattern.compile("//[^/?@]*:[^/?@]+@|[?&;][^=&;]*(?i:pass|pwd|secret)[^=&;]*=");
    private static final int DEFAULT_PORT = 8080;
    private static final int DONE = 0;
    private static final int FAILED = 1;
    private static final int MISUSED = 2;

    private Quickstart() {}

    /**
     * Runs it; {@code --help} says how.
     *
     * @param args the options
     */
    public static void main(String[] args) {
        int exitCode = run(List.of(args), System.out, System.err);
        // Maven's exec:java runs this in Maven's own process, which is not ours to end unless something is wrong.
        if (exitCode != DONE) {
            System.exit(exitCode);
        }
    }

    /** Answers the exit code; a service that it started is still running then. */
    static int run(List<String> arguments, PrintStream out, PrintStream err) {
        Options options;
        try {
            options = Options.of(arguments);
        } catch (IllegalArgumentException e) {
            err.println(e.getMessage());
            err.print(USAGE);
            return MISUSED;
        }
        if (options.help()) {
            out.print(USAGE);
            return DONE;
        }
        try {
            if (options.file() != null) {
                TokenTable.print(builder(options), options.file(), out);
            } else if (options.port() != null) {
                serve(builder(options), options.port(), out);
            } else if (options.replica()) {
                return showReplica(options, out, err);
            } else {
                Story.tell(builder(options), out);
            }
            return DONE;
        } catch (CurfewException | Story.CameOutDifferently e) {
            err.println(e.getMessage());
        } catch (IOException e) {
            err.println((options.file() == null ? "Cannot listen on port " + options.port() : "Cannot read the file")
                    + ": " + e);
        }
        return FAILED;
    }

    private static TokenResource.Builder builder(Options options) {
        TokenResource.Builder builder = TokenResource.builder();
        if (options.store() != null) {
            builder.url(options.store());
        } else if (System.getProperty("curfew.store.url") == null && System.getenv("CURFEW_STORE_URL") == null) {
            // All stores are on the class path: without a URL, opening one would be refused (R11.4).
            builder.url("memory:");
        }
        return builder;
    }

    private static int showReplica(Options options, PrintStream out, PrintStream err) {
        try {
            new ReplicaStory(Duration.ofSeconds(2), Duration.ofSeconds(18), Duration.ofMinutes(2))
                    .tell(() -> builder(options), out);
            return DONE;
        } catch (IllegalArgumentException e) {
            err.println(e.getMessage() + ". To see one, name a server by --store or CURFEW_STORE_URL");
            return FAILED;
        }
    }

    private static void serve(TokenResource.Builder builder, int port, PrintStream out) throws IOException {
        DemoService service = DemoService.start(builder, InstantSource.system(), port);
        Runtime.getRuntime().addShutdownHook(new Thread(service::close, "quickstart-shutdown"));
        service.printCurlLines(out);
    }

    private record Options(
            boolean help,
            @Nullable String store,
            @Nullable Path file,
            @Nullable Integer port,
            boolean replica) {

        static Options of(List<String> arguments) {
            boolean help = false;
            String store = null;
            Path file = null;
            Integer port = null;
            boolean replica = false;
            Deque<String> left = new ArrayDeque<>(arguments);
            while (!left.isEmpty()) {
                String option = left.remove();
                switch (option) {
                    case "--help" -> help = true;
                    case "--store" -> store = withoutPassword(value(option, left));
                    case "--tokens" -> file = Path.of(value(option, left));
                    case "--serve" -> port = hasValue(left) ? port(left.remove()) : DEFAULT_PORT;
                    case "--replica" -> replica = true;
                    default -> throw new IllegalArgumentException("There is no option " + option);
                }
            }
            if ((file == null ? 0 : 1) + (port == null ? 0 : 1) + (replica ? 1 : 0) > 1) {
                throw new IllegalArgumentException("Give one of --tokens, --serve and --replica");
            }
            return new Options(help, store, file, port, replica);
        }

        private static boolean hasValue(Deque<String> left) {
            return !left.isEmpty() && !left.element().startsWith("--");
        }

        private static String value(String option, Deque<String> left) {
            if (!hasValue(left)) {
                throw new IllegalArgumentException(option + " needs a value");
            }
            return left.remove();
        }

        private static String withoutPassword(String url) {
            if (PASSWORD.matcher(url).find()) {
                throw new IllegalArgumentException(
                        "Everybody on this machine can read a password on a command line: put"
                                + " the URL into the environment variable CURFEW_STORE_URL, and leave out --store");
            }
            return url;
        }

        private static int port(String text) {
            if (!text.matches("[0-9]{1,5}") || Integer.parseInt(text) > 65_535) {
                throw new IllegalArgumentException("A port is a number from 0 to 65535, not " + text);
            }
            return Integer.parseInt(text);
        }
    }
}
