package dev.curfew.tck;

import dev.curfew.Deadline;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.MethodDescriptor;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.MethodOrdererContext;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Runs the kit's tests in the order of the rules, and prints one line at the end of each group of rules, with its time:
 * {@code Curfew kit, MyTokenStoreTest: R3 Revoke, 16 tests in 12.3 s}. The JUnit configuration parameter
 * {@code curfew.tck.progress=false} silences it.
 */
final class KitProgress implements MethodOrderer, BeforeEachCallback, AfterEachCallback, AfterAllCallback {
    private static final Pattern RULE = Pattern.compile("R(\\d+)_(\\d+)_.*");
    private static final List<String> GROUPS = List.of(
            "Time",
            "Store and get",
            "Revoke",
            "Subjects",
            "Single use",
            "Confirmation changes",
            "Expunge",
            "Failure",
            "Input",
            "Isolation",
            "Actions",
            "Local replica",
            "Sessions",
            "Rotation");

    private static final class Group {
        final String name;
        final Deadline dayAfter = Deadline.after(Duration.ofDays(1));
        long left;
        int tests;

        Group(String name) {
            this.name = name;
        }
    }

    /** Called by JUnit. */
    KitProgress() {}

    @Override
    public void orderMethods(MethodOrdererContext context) {
        context.getMethodDescriptors()
                .sort(Comparator.<MethodDescriptor>comparingInt(test -> number(name(test), 1))
                        .thenComparingInt(test -> number(name(test), 2))
                        .thenComparing(KitProgress::name));
    }

    private static String name(MethodDescriptor test) {
        return test.getMethod().getName();
    }

    /** Tests that are named after no rule are the last. */
    private static int number(String test, int part) {
        Matcher rule = RULE.matcher(test);
        return rule.matches() ? Integer.parseInt(rule.group(part)) : Integer.MAX_VALUE;
    }

    private static String group(String test) {
        int number = number(test, 1);
        return number <= GROUPS.size()
                ? "R" + number + " " + GROUPS.get(number - 1)
                : "All rules at once, and your own tests";
    }

    private static ExtensionContext.Store state(ExtensionContext context) {
        ExtensionContext ofClass =
                context.getTestMethod().isPresent() ? context.getParent().orElseThrow() : context;
        return ofClass.getStore(ExtensionContext.Namespace.create(
                KitProgress.class, context.getRequiredTestClass().getName()));
    }

    @Override
    public void beforeEach(ExtensionContext context) {
        String group = group(context.getRequiredTestMethod().getName());
        @Nullable Group current = state(context).get("group", Group.class);
        if (current == null || !current.name.equals(group)) {
            print(context, current);
            state(context).put("group", new Group(group));
        }
        if (context.getRequiredTestInstance() instanceof TokenStoreContract kit) {
            state(context).put("leftOut", String.join("\n", kit.leftOut()));
        }
    }

    @Override
    public void afterEach(ExtensionContext context) {
        @Nullable Group current = state(context).get("group", Group.class);
        if (current != null) {
            current.tests++;
            current.left = current.dayAfter.remainingNanos();
        }
    }

    @Override
    public void afterAll(ExtensionContext context) {
        print(context, state(context).get("group", Group.class));
        @Nullable String leftOut = state(context).get("leftOut", String.class);
        if (leftOut != null) {
            leftOut.lines().forEach(line -> print(context, line));
        }
    }

    private static void print(ExtensionContext context, @Nullable Group group) {
        if (group != null) {
            String tests = group.tests == 1 ? "1 test" : group.tests + " tests";
            double seconds = (Duration.ofDays(1).toNanos() - group.left) / 1e9;
            print(context, String.format(Locale.ROOT, "%s, %s in %.1f s", group.name, tests, seconds));
        }
    }

    private static void print(ExtensionContext context, String line) {
        boolean silent = context.getConfigurationParameter("curfew.tck.progress")
                .filter("false"::equals)
                .isPresent();
        if (!silent) {
            System.out.println("Curfew kit, " + context.getRequiredTestClass().getSimpleName() + ": " + line);
        }
    }
}
