package dev.curfew.redis;

import dev.curfew.RevocationFeed;
import dev.curfew.StoreScope;
import dev.curfew.TokenStoreException.Outcome;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Reads the streams of a domain's partitions. A position has the ids of the servers' histories, and the id of the last
 * entry that was read from each stream. A server takes another id for its history when it starts, and when it becomes a
 * master.
 *
 * <p>The histories are asked for behind the entries, in the same round trip. If they are those of the position, the
 * entries are of them, too. A stream that somebody deletes is not noticed. Its next entries have later ids all the same,
 * as long as the server's clock does not go back.
 */
final class Feed implements RevocationFeed {
    /** How many new entries of each stream are read at a time: a server does nothing else meanwhile. */
    private static final int PAGE = 100;
    /** A server that is gone must not be waited for as long as all pages may take. */
    private static final Duration LONGEST_PAGE = Duration.ofSeconds(10);
    /** Of an entry: its id, and the name and the value of its field k. */
    private static final int TEXTS = 3;

    private static final String START = "0-0";

    private final Link link;

    Feed(Link link) {
        this.link = link;
    }

    @Override
    public @Nullable String follow(StoreScope scope, @Nullable String after, Sink sink, Instant now) {
        var call = new Call(scope, now);
        Duration longest = scope.deadline().compareTo(LONGEST_PAGE) < 0 ? scope.deadline() : LONGEST_PAGE;
        var page = new StoreScope(scope.domain(), scope.tenant(), scope.skew(), longest);
        List<String> streams = call.keys.streams();
        List<Request> servers = (link.isInCluster() ? streams : streams.subList(0, 1))
                .stream()
                        .map(stream -> Request.of(Script.HISTORY, List.of(stream)))
                        .toList();
        String history;
        String[] last = new String[streams.size()];
        if (after == null) {
            history = histories(link.ask(new Call(page, now), servers));
            Arrays.fill(last, START);
        } else {
            int end = after.indexOf(';');
            history = after.substring(0, end);
            last = after.substring(end + 1).split(",");
        }
        boolean isMore = true;
        while (isMore) {
            List<Request> requests = new ArrayList<>();
            if (link.isInCluster()) {
                for (int i = 0; i < last.length; i++) {
                    requests.add(Request.read(PAGE, List.of(streams.get(i)), last[i]));
                }
            } else {
                requests.add(Request.read(PAGE, streams, last.clone()));
            }
            int reads = requests.size();
            requests.addAll(servers);
            if (call.left() == 0) {
                throw Failures.of(Outcome.UNCHANGED, scope.domain(), "SILENCE", null);
            }
            // A page has a deadline of its own: a request that is given too little time closes the connection.
            List<Answer> answers = link.ask(new Call(page, now), requests);
            if (!history.equals(histories(answers.subList(reads, answers.size())))) {
                return null;
            }
            isMore = false;
            for (Answer answer : answers.subList(0, reads)) {
                isMore |= isFull(answer, streams, last, scope, sink, now);
            }
        }
        return history + ';' + String.join(",", last);
    }

    /** Tells the entries of an answer: of each stream its name, and its new entries. Whether a stream may have more. */
    private static boolean isFull(
            Answer answer, List<String> streams, String[] last, StoreScope scope, Sink sink, Instant now) {
        boolean isFull = false;
        int stream = 0;
        int count = 0;
        for (int at = 0; at < answer.size() && answer.text(at) != null; ) {
            String text = text(answer, at);
            if (streams.contains(text)) {
                stream = streams.indexOf(text);
                count = 0;
                at++;
            } else {
                last[stream] = text;
                try {
                    tell(answer, at, scope, sink, now);
                } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
                    // Without the cause, whose message quotes the entry.
                    throw Failures.of(Outcome.UNCHANGED, scope.domain(), "FOREIGN", null);
                }
                at += TEXTS;
                count++;
                isFull |= count == PAGE;
            }
        }
        return isFull;
    }

    private static String histories(List<Answer> answers) {
        return answers.stream().map(Answer::first).collect(Collectors.joining(","));
    }

    private static void tell(Answer entries, int at, StoreScope scope, Sink sink, Instant now) {
        // The field e, the watermark if it is one, and the key: its tenant, kind and name.
        String[] parts = text(entries, at + 2).split(":", -1);
        Instant end = time(parts[0]);
        String tenant = Keys.unescape(parts[2]);
        String name = Keys.unescape(parts[4]);
        if (!scope.isPastRetention(end, now)) {
            switch (parts[3]) {
                case "token" -> sink.revoked(tenant, name, end);
                case "session" -> sink.sessionRevoked(tenant, name, end);
                default -> sink.watermark(tenant, name, time(parts[1]), end);
            }
        }
    }

    private static Instant time(String millis) {
        return Instant.ofEpochMilli(Long.parseLong(millis));
    }

    private static String text(Answer answer, int place) {
        return String.valueOf(answer.text(place));
    }
}
