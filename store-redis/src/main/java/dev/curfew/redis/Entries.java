package dev.curfew.redis;

import io.lettuce.core.protocol.CommandType;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Reads a subject's index in the order of the scores, and returns each jti once, even if the index changes. */
final class Entries {
    /** The jti of the entry whose score is the latest expiry that was shortened. */
    static final String SHORTENED = "";

    private final Link link;
    private final Call call;
    private final String index;
    private final Set<String> met = new HashSet<>(Set.of(SHORTENED));
    private long score;
    private int skipped;
    private boolean isLast;

    /** @param from the lowest score of interest */
    Entries(Link link, Call call, String index, long from) {
        this.link = link;
        this.call = call;
        this.index = index;
        this.score = from;
    }

    /** The next entries, each jti with its score, at most {@code most}; an empty map if there are no more. */
    Map<String, Long> next(int most) {
        Map<String, Long> found;
        int limit;
        do {
            limit = most + skipped + 1;
            found = read(limit);
            skipped = (int) found.keySet().stream().filter(met::contains).count();
        } while (skipped == found.size() && skipped == limit);
        isLast = found.size() < limit && found.size() - skipped <= most;
        Map<String, Long> next = new LinkedHashMap<>();
        found.forEach((jti, itsScore) -> {
            if (next.size() < most && met.add(jti)) {
                next.put(jti, itsScore);
                score = itsScore;
            }
        });
        // The next query returns the entries of this score once more.
        skipped = (int) found.entrySet().stream()
                .filter(entry -> entry.getValue() == score && met.contains(entry.getKey()))
                .count();
        return next;
    }

    private Map<String, Long> read(int limit) {
        String from = Long.toString(score);
        String count = Integer.toString(limit);
        var request = Request.of(CommandType.ZRANGEBYSCORE, index, from, "+inf", "WITHSCORES", "LIMIT", "0", count);
        Answer pairs = link.ask(call, request);
        Map<String, Long> entries = new LinkedHashMap<>();
        for (int i = 0; i < pairs.size(); i += 2) {
            entries.put(String.valueOf(pairs.text(i)), score(pairs.text(i + 1)));
        }
        return entries;
    }

    /** A score as the server writes it: a whole number, but perhaps with a point or an exponent. */
    static long score(@Nullable String text) {
        return text == null ? Long.MIN_VALUE : (long) Double.parseDouble(text);
    }

    /** Whether the index had no more entries after the latest ones. */
    boolean isAtEnd() {
        return isLast;
    }

    /** The score of the latest entry; later entries have the same or a higher score. */
    long score() {
        return score;
    }
}
