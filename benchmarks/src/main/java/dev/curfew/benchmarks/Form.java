package dev.curfew.benchmarks;

import java.util.List;

/**
 * How much is measured.
 *
 * @param rounds how often everything is measured, each time in JVMs of its own
 * @param records how many a store has
 * @param warmUps how many turns everybody has to warm up in a JVM
 * @param turns how many turns everybody has that count
 * @param millis how long a turn takes, where it is a matter of time
 * @param everythingContended whether everything is measured with 16 threads too, or only what the bars ask for
 * @param growth the numbers of records by which growth is shown, in memory and PostgreSQL; elsewhere up to a million
 * @param due how many records a clean-up removes
 */
record Form(
        String name,
        int rounds,
        int records,
        int warmUps,
        int turns,
        int millis,
        boolean everythingContended,
        List<Integer> growth,
        int due) {
    private static final Form QUICK =
            new Form("quick", 1, 100_000, 8, 12, 100, false, List.of(10_000, 100_000), 50_000);
    private static final Form FULL =
            new Form("full", 1, 1_000_000, 10, 20, 100, true, List.of(10_000, 100_000, 1_000_000, 10_000_000), 500_000);

    static Form named(String name) {
        return switch (name) {
            case "quick" -> QUICK;
            case "full" -> FULL;
            default -> throw new IllegalArgumentException("There is a quick form and a full one, but no " + name);
        };
    }
}
