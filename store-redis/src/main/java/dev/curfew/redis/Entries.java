package dev.curfew.redis;

import static io.lettuce.core.codec.StringCodec.UTF8;

import io.lettuce.core.ScoredValue;
import io.lettuce.core.output.ScoredValueListOutput;
import io.lettuce.core.protocol.CommandType;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

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

    /** The next entries, at most {@code most}; an empty list if there are no more. */
    List<ScoredValue<String>> next(int most) {
        List<ScoredValue<String>> found;
        List<ScoredValue<String>> fresh;
        int limit;
        do {
            limit = most + skipped + 1;
            found = link.ask(
                    call,
                    Request.of(
                            CommandType.ZRANGEBYSCORE,
                            () -> new ScoredValueListOutput<>(UTF8),
                            index,
                            Long.toString(score),
                            "+inf",
                            "WITHSCORES",
                            "LIMIT",
                            "0",
                            Integer.toString(limit)));
            fresh = found.stream()
                    .filter(entry -> !met.contains(entry.getValue()))
                    .toList();
            skipped = found.size() - fresh.size();
        } while (fresh.isEmpty() && found.size() == limit);
        isLast = found.size() < limit && fresh.size() <= most;
        List<ScoredValue<String>> next = fresh.subList(0, Math.min(most, fresh.size()));
        next.forEach(entry -> met.add(entry.getValue()));
        if (!next.isEmpty()) {
            score = (long) next.get(next.size() - 1).getScore();
            // The next query returns the entries of this score once more.
            skipped = (int) found.stream()
                    .filter(entry -> (long) entry.getScore() == score && met.contains(entry.getValue()))
                    .count();
        }
        return next;
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
