package dev.curfew.benchmarks;

import java.util.List;

/**
 * How much is measured.
 *
 * @param records how many a store has
 * @param threads with how many threads each action is measured
 * @param turns how many turns everybody has that count, after half as many to warm up
 * @param growth other numbers of records, by which growth is shown; in Redis up to a million
 * @param cleanUps how often a clean-up is measured
 * @param idleSeconds for how long nothing is cleaned up before
 * @param due how many records a clean-up removes, beside half as many that stay
 */
record Form(
        String name,
        int records,
        List<Integer> threads,
        int turns,
        List<Integer> growth,
        int cleanUps,
        int idleSeconds,
        int due) {
    static Form named(String name) {
        return switch (name) {
            case "quick" -> new Form(name, 100_000, List.of(1), 12, List.of(10_000), 1, 10, 200_000);
            case "full" ->
                new Form(name, 1_000_000, List.of(1, 16), 20, List.of(10_000, 100_000, 10_000_000), 5, 10, 2_000_000);
            default -> throw new IllegalArgumentException("There is a quick form and a full one, but no " + name);
        };
    }
}
