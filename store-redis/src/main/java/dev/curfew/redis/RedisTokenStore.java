package dev.curfew.redis;

import static io.lettuce.core.codec.StringCodec.UTF8;

import dev.curfew.Consumption;
import dev.curfew.Consumption.Consumed;
import dev.curfew.Consumption.Refused;
import dev.curfew.ExtraData;
import dev.curfew.RevokeOutcome;
import dev.curfew.SelfExpiringTokenStore;
import dev.curfew.StoreOutcome;
import dev.curfew.StoreScope;
import dev.curfew.StoredState;
import dev.curfew.SubjectMismatchException;
import dev.curfew.TokenRecord;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.Watermarked;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisURI;
import io.lettuce.core.ScoredValue;
import io.lettuce.core.api.StatefulConnection;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.output.BooleanOutput;
import io.lettuce.core.output.DoubleOutput;
import io.lettuce.core.output.MapOutput;
import io.lettuce.core.output.ScoredValueListOutput;
import io.lettuce.core.output.ValueListOutput;
import io.lettuce.core.output.ValueOutput;
import io.lettuce.core.protocol.CommandType;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Records in Redis 6.2 or later, or Valkey: standalone, behind sentinels, or in a cluster.
 *
 * <p>The layout, for the domain {@code tokens} and the empty tenant. Every key ends by itself: a record a skew past its
 * retention end, the index of a subject with its last record. In names, {@code :}, <code>&#123;</code> and {@code %} are
 * written as in a URL.
 *
 * <pre>
 * curfew:tokens::token:JTI          hash: s subject, p purpose, i issued, e expires, d extra data, c created,
 *                                   u updated, r revoked, a the attempt that revoked it; times in milliseconds
 * curfew:tokens::watermark:SUBJECT  string: the watermark
 * curfew:tokens::subject:SUBJECT    sorted set: the jti of each record, by the latest expiry that it has had; and an
 *                                   empty jti, by the latest expiry that was shortened
 * </pre>
 *
 * <p>A check is one HEXISTS, or an HMGET of the record and a GET of the watermark, pipelined. What changes a record is
 * one script; so is what stores one, which also writes the subject's index. Only in a cluster, where no one server need
 * have both, storing is
 *
 * <ol>
 *   <li>the index: a script adds the jti, or raises its score, and drops a few entries that have ended;
 *   <li>the record: a script.
 * </ol>
 *
 * In this order, so that no failure leaves a live record that {@link #revokeStored} does not find. It may leave an entry
 * without a record, which {@code revokeStored} then revokes: the store that was on its way, or is repeated, finds its
 * token revoked. Nothing ever lowers a score, and an entry is removed only when its score has ended, or its record is
 * revoked for good.
 */
public final class RedisTokenStore implements SelfExpiringTokenStore {
    private static final Logger LOG = LoggerFactory.getLogger(RedisTokenStore.class);

    /** What a check needs of a record: all but the extra data. */
    private static final String[] FIELDS = {"s", "p", "i", "e", "c", "u", "r"};

    private static final String NONE = "";
    // How much later than it need be a key ends: a request may have been under way for so long.
    private static final Duration MARGIN = Duration.ofSeconds(10);
    /** Answers after which there is no revocation that a replica must have. */
    private static final Set<String> NOTHING_TO_KEEP = Set.of("UNKNOWN", "EXPIRED");

    private static final int PAGE = 200;

    private final Link link;
    private final boolean inCluster;
    private final boolean strictDurability;
    private final int minReplicas;
    private final @Nullable Runnable owned;

    private RedisTokenStore(Builder settings) {
        this.link = new Link(settings.connector, settings.cluster, settings.minReplicas);
        this.inCluster = settings.cluster != null;
        this.strictDurability = settings.strictDurability;
        this.minReplicas = settings.minReplicas;
        this.owned = settings.owned;
    }

    /**
     * A store on the application's own client, which stays open when the store is closed; the store makes a connection of
     * its own, to the URI that the client was made with.
     */
    public static RedisTokenStore create(RedisClient client) {
        return builder(client).build();
    }

    /** A store in a cluster, on the application's own client, which stays open when the store is closed. */
    public static RedisTokenStore create(RedisClusterClient client) {
        return builder(client).build();
    }

    /** A store on the application's own client, with other settings. */
    public static Builder builder(RedisClient client) {
        present("client", client);
        return new Builder(() -> client.connect(UTF8), null);
    }

    /** A store on the application's own client, at another URI than the client's, or where it was made without one. */
    public static Builder builder(RedisClient client, RedisURI uri) {
        present("client", client);
        present("uri", uri);
        return new Builder(() -> client.connect(UTF8, uri), null);
    }

    /** A store in a cluster, on the application's own client, with other settings. */
    public static Builder builder(RedisClusterClient client) {
        present("client", client);
        return new Builder(() -> client.connect(UTF8), client);
    }

    private static void present(String name, @Nullable Object argument) {
        if (argument == null) {
            throw new IllegalArgumentException(name + " must not be null");
        }
    }

    /** How much a store waits for and puts up with; made by {@link RedisTokenStore#builder}. */
    public static final class Builder {
        private final Supplier<? extends StatefulConnection<String, String>> connector;
        private final @Nullable RedisClusterClient cluster;
        private boolean strictDurability;
        private int minReplicas;
        private @Nullable Runnable owned;

        private Builder(
                Supplier<? extends StatefulConnection<String, String>> connector,
                @Nullable RedisClusterClient cluster) {
            this.connector = connector;
            this.cluster = cluster;
        }

        /** Refuses a server that is set up to lose revocations, where otherwise a warning is logged. */
        public Builder strictDurability() {
            this.strictDurability = true;
            return this;
        }

        /**
         * Makes every revocation wait until so many replicas have it; 0 by default. When they do not answer in time, it
         * throws a {@link TokenStoreException} that says that it is applied, and not yet replicated.
         *
         * @throws IllegalArgumentException if it is negative
         */
        public Builder minReplicas(int replicas) {
            if (replicas < 0) {
                throw new IllegalArgumentException("minReplicas must not be negative, but is " + replicas);
            }
            this.minReplicas = replicas;
            return this;
        }

        Builder owning(Runnable shutdown) {
            this.owned = shutdown;
            return this;
        }

        /** The store. It connects when it is first used. */
        public RedisTokenStore build() {
            return new RedisTokenStore(this);
        }
    }

    /**
     * Looks at the server, and warns once of what may lose revocations, with the remedy.
     *
     * @throws TokenStoreException if there is no working with it, or if it is found wanting and {@code strictDurability} is
     *     set
     */
    @Override
    public void prepare(StoreScope scope) {
        Set<String> findings = new Probe(link, scope, inCluster, strictDurability, minReplicas).findings(attempt());
        if (findings.isEmpty()) {
            return;
        }
        String found = "Redis, for domain '" + scope.domain() + "': " + String.join("; ", findings);
        if (strictDurability) {
            throw new TokenStoreException(Outcome.UNCHANGED, found + ". strictDurability refuses such a server", null);
        }
        LOG.warn("{}. Revocations may be lost or refused.", found);
    }

    // Checks

    @Override
    public boolean isRevoked(StoreScope scope, String jti, Instant now) {
        return link.ask(scope, isRevoked(scope, jti));
    }

    private static Request<Boolean> isRevoked(StoreScope scope, String jti) {
        return Request.of(CommandType.HEXISTS, () -> new BooleanOutput<>(UTF8), Keys.record(scope, jti), "r");
    }

    @Override
    public Set<String> revoked(StoreScope scope, Collection<String> jtis, Instant now) {
        List<String> asked = List.copyOf(jtis);
        List<Boolean> answers = link.ask(
                scope,
                new CallTime(scope.deadline()),
                asked.stream().map(jti -> isRevoked(scope, jti)).toList());
        Set<String> revoked = new HashSet<>();
        for (int i = 0; i < answers.size(); i++) {
            if (answers.get(i)) {
                revoked.add(asked.get(i));
            }
        }
        return revoked;
    }

    @Override
    public StoredState state(StoreScope scope, String jti, String subject, Instant now) {
        List<Object> answers = link.ask(
                scope,
                new CallTime(scope.deadline()),
                List.of(
                        Request.of(
                                CommandType.HMGET, () -> new ValueListOutput<>(UTF8), Keys.record(scope, jti), FIELDS),
                        watermark(scope, subject)));
        Map<String, String> fields = new HashMap<>();
        List<?> values = (List<?>) answers.get(0);
        for (int i = 0; i < FIELDS.length; i++) {
            if (values.get(i) instanceof String value) {
                fields.put(FIELDS[i], value);
            }
        }
        String watermark = (String) answers.get(1);
        return new StoredState(record(scope, jti, fields), watermark == null ? null : time(watermark));
    }

    @Override
    public StoredState find(StoreScope scope, String jti, Instant now) {
        var time = new CallTime(scope.deadline());
        TokenRecord record = record(scope, jti, link.ask(scope, time, fields(scope, jti)));
        return new StoredState(
                record,
                record != null && record.isLive(now) && !record.isRevoked()
                        ? watermark(scope, time, record.subject())
                        : null);
    }

    private @Nullable Instant watermark(StoreScope scope, CallTime time, @Nullable String subject) {
        return subject == null ? null : time(link.<@Nullable String>ask(scope, time, watermark(scope, subject)));
    }

    private static Request<@Nullable String> watermark(StoreScope scope, String subject) {
        return Request.<@Nullable String>of(
                CommandType.GET, () -> new ValueOutput<>(UTF8), Keys.watermark(scope, subject));
    }

    private static Request<Map<String, String>> fields(StoreScope scope, String jti) {
        return Request.of(CommandType.HGETALL, () -> new MapOutput<>(UTF8), Keys.record(scope, jti));
    }

    // Changes

    @Override
    public StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
        var time = new CallTime(scope.deadline());
        String subject = Objects.requireNonNull(record.subject(), "subject");
        var extraData = record.extraData();
        String key = Keys.record(scope, record.jti());
        List<String> fields = List.of(
                subject,
                record.purpose(),
                millis(record.issuedAt()),
                millis(record.expiresAt()),
                extraData == null ? NONE : extraData.json(),
                millis(now),
                millis(grace(scope)));
        String answer = inCluster
                ? storeInCluster(scope, time, subject, record, now, Request.of(Script.STORE, key, array(fields)))
                : link.ask(
                                scope,
                                time,
                                Request.ofTwo(
                                        Script.STORE, key, Keys.index(scope, subject), array(fields, record.jti())))
                        .get(0);
        if (answer.equals("MISMATCH")) {
            throw new SubjectMismatchException();
        }
        return StoreOutcome.valueOf(answer);
    }

    private static String[] array(List<String> some, String... more) {
        return Stream.concat(some.stream(), Arrays.stream(more)).toArray(String[]::new);
    }

    /** No server need have both keys: the index first, so that no failure leaves a live record that it does not name. */
    private String storeInCluster(
            StoreScope scope,
            CallTime time,
            String subject,
            TokenRecord record,
            Instant now,
            Request<List<String>> change) {
        Request<List<String>> entry = entry(scope, subject, record.jti(), record, now);
        link.ask(scope, time, entry);
        link.awaitReplicas(scope, time, List.of(entry), Link.INDEX, millis(record.expiresAt()), record.jti());
        try {
            return link.ask(scope, time, change).get(0);
        } catch (TokenStoreException e) {
            mark(scope, time, subject, record, now);
            throw e;
        }
    }

    /** An entry may have been raised, and its record not: the order up to there is not that of the expiries. */
    private void mark(StoreScope scope, CallTime time, String subject, TokenRecord record, Instant now) {
        if (time.left() <= 0) {
            return;
        }
        try {
            link.ask(scope, time, entry(scope, subject, NONE, record, now));
        } catch (TokenStoreException e) {
            // Then a list of several pages may leave it out, until it is stored again.
        }
    }

    private static Request<List<String>> entry(
            StoreScope scope, String subject, String jti, TokenRecord record, Instant now) {
        return Request.of(
                Script.INDEX,
                Keys.index(scope, subject),
                millis(record.expiresAt()),
                jti,
                millis(now),
                millis(grace(scope)));
    }

    @Override
    public RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
        String subject = revocation.subject();
        Request<List<String>> change = Request.of(
                Script.REVOKE,
                Keys.record(scope, revocation.jti()),
                subject == null ? NONE : subject,
                millis(revocation.issuedAt()),
                millis(revocation.expiresAt()),
                millis(keepUntil),
                millis(now),
                millis(grace(scope)),
                attempt());
        return RevokeOutcome.valueOf(changed(scope, new CallTime(scope.deadline()), change, "record", millis(keepUntil))
                .get(0));
    }

    @Override
    public Watermarked<Consumption> consume(
            StoreScope scope, String jti, @Nullable String subject, String purpose, Instant now) {
        var time = new CallTime(scope.deadline());
        Request<List<String>> change = Request.of(
                Script.CONSUME,
                Keys.record(scope, jti),
                subject == null ? NONE : subject,
                purpose,
                millis(now),
                millis(grace(scope)),
                attempt());
        List<String> answer = changed(scope, time, change, "record", "0");
        if (!answer.get(0).equals("CONSUMED")) {
            return new Watermarked<>(Refused.valueOf(answer.get(0)), null);
        }
        Map<String, String> fields = new HashMap<>();
        for (int i = 1; i < answer.size(); i += 2) {
            fields.put(answer.get(i), answer.get(i + 1));
        }
        TokenRecord used = Objects.requireNonNull(record(scope, jti, fields, Outcome.UNKNOWN));
        try {
            return new Watermarked<>(new Consumed(used), watermark(scope, time, used.subject()));
        } catch (TokenStoreException e) {
            throw Failures.afterConsuming(scope.domain(), e);
        }
    }

    @Override
    public void revokeSubject(StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now) {
        String at = millis(watermark);
        Request<List<String>> change = Request.of(
                Script.REVOKE_SUBJECT, Keys.watermark(scope, subject), at, millis(keepUntil.plus(MARGIN)), millis(now));
        changed(scope, new CallTime(scope.deadline()), change, "watermark", at);
    }

    /** @param touched what shall be on the replicas: as {@code touch.lua} has it */
    private List<String> changed(StoreScope scope, CallTime time, Request<List<String>> request, String... touched) {
        List<String> answer = link.ask(scope, time, request);
        if (!NOTHING_TO_KEEP.contains(answer.get(0))) {
            link.awaitReplicas(scope, time, List.of(request), touched);
        }
        return answer;
    }

    // Subjects

    @Override
    public int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
        var time = new CallTime(scope.deadline());
        String attempt = attempt();
        int revoked = 0;
        // What has been dealt with: it may stay in the index, or be stored again, and is not met a second time.
        Set<String> passed = new HashSet<>(Set.of(NONE));
        boolean last = false;
        try {
            while (revoked < limit) {
                int wanted = limit - revoked;
                List<ScoredValue<String>> entries =
                        entries(scope, time, subject, now.toEpochMilli() + 1, 0, wanted + passed.size()).stream()
                                .filter(entry -> !passed.contains(entry.getValue()))
                                .limit(wanted)
                                .toList();
                if (entries.isEmpty()) {
                    break;
                }
                last = entries.size() < wanted;
                List<Request<List<String>>> requests = entries.stream()
                        .map(entry -> Request.of(
                                Script.REVOKE_STORED,
                                Keys.record(scope, entry.getValue()),
                                subject,
                                Long.toString((long) entry.getScore()),
                                millis(now),
                                millis(grace(scope)),
                                attempt))
                        .toList();
                List<List<String>> answers = link.ask(scope, time, requests);
                List<Request<List<String>>> changed = new ArrayList<>();
                List<String> done = new ArrayList<>();
                for (int i = 0; i < answers.size(); i++) {
                    String answer = answers.get(i).get(0);
                    ScoredValue<String> entry = entries.get(i);
                    passed.add(entry.getValue());
                    if (!answer.equals("OTHER")) {
                        changed.add(requests.get(i));
                        done.add(entry.getValue());
                        done.add(Long.toString((long) entry.getScore()));
                        revoked += answer.equals("REVOKED") ? 1 : 0;
                    }
                }
                link.awaitReplicas(scope, time, changed, "record", "0");
                if (!done.isEmpty()) {
                    link.ask(
                            scope,
                            time,
                            Request.of(Script.DROP, Keys.index(scope, subject), done.toArray(String[]::new)));
                }
            }
        } catch (TokenStoreException e) {
            boolean whole = e.outcome() == Outcome.APPLIED_NOT_REPLICATED ? last : revoked == 0;
            throw whole ? e : Failures.afterSome(scope.domain(), e);
        }
        return revoked;
    }

    @Override
    public Watermarked<List<TokenRecord>> list(
            StoreScope scope, String subject, @Nullable TokenRecord after, int limit, Instant now) {
        var time = new CallTime(scope.deadline());
        List<@Nullable Object> answers = link.ask(
                scope,
                time,
                List.of(
                        Request.of(
                                CommandType.ZSCORE, () -> new DoubleOutput<>(UTF8), Keys.index(scope, subject), NONE),
                        watermark(scope, subject)));
        Double shortened = (Double) answers.get(0);
        return new Watermarked<>(
                list(scope, time, subject, after, limit, now, shortened), time((String) answers.get(1)));
    }

    /** @param shortened the latest expiry that was shortened: up to there the order is not that of the expiries */
    private List<TokenRecord> list(
            StoreScope scope,
            CallTime time,
            String subject,
            @Nullable TokenRecord after,
            int limit,
            Instant now,
            @Nullable Double shortened) {
        // No record expires later than its score: what comes later cannot have a lower one.
        long from = Math.max(
                now.toEpochMilli() + 1,
                after == null ? Long.MIN_VALUE : after.expiresAt().toEpochMilli());
        var page = new TreeSet<>(TokenRecord.BY_EXPIRY);
        Set<String> onPage = new HashSet<>();
        int passed = 0;
        String last = NONE;
        while (true) {
            // The last one again: where it is not found, others have moved, and that score is read anew.
            int most = Math.min(limit + 1, PAGE) + 1;
            List<ScoredValue<String>> entries = entries(scope, time, subject, from, Math.max(0, passed - 1), most);
            if (passed > 0 && (entries.isEmpty() || !entries.get(0).getValue().equals(last))) {
                passed = 0;
                continue;
            }
            List<Map<String, String>> found = link.ask(
                    scope,
                    time,
                    entries.stream()
                            .map(entry -> fields(scope, entry.getValue()))
                            .toList());
            for (int i = 0; i < entries.size(); i++) {
                TokenRecord record = record(scope, entries.get(i).getValue(), found.get(i));
                if (record != null
                        && subject.equals(record.subject())
                        && record.isLive(now)
                        && !record.isRevoked()
                        && (after == null || TokenRecord.BY_EXPIRY.compare(record, after) > 0)
                        // Stored again meanwhile, and met again: it stays where it was.
                        && onPage.add(record.jti())) {
                    page.add(record);
                    if (page.size() > limit) {
                        onPage.remove(page.last().jti());
                        page.pollLast();
                    }
                }
            }
            if (entries.size() < most) {
                return List.copyOf(page);
            }
            last = entries.get(entries.size() - 1).getValue();
            long score = (long) entries.get(entries.size() - 1).getScore();
            if (page.size() == limit
                    && page.last().expiresAt().toEpochMilli() < score
                    && (shortened == null || shortened < score)) {
                return List.copyOf(page);
            }
            int ofThatScore = (int) entries.stream()
                    .filter(entry -> (long) entry.getScore() == score)
                    .count();
            // The one that was read again has been counted.
            passed = score > from ? ofThatScore : passed + ofThatScore - (passed > 0 ? 1 : 0);
            from = score;
        }
    }

    private List<ScoredValue<String>> entries(
            StoreScope scope, CallTime time, String subject, long from, int offset, int limit) {
        return link.ask(
                scope,
                time,
                Request.of(
                        CommandType.ZRANGEBYSCORE,
                        () -> new ScoredValueListOutput<>(UTF8),
                        Keys.index(scope, subject),
                        Long.toString(from),
                        "+inf",
                        "WITHSCORES",
                        "LIMIT",
                        Integer.toString(offset),
                        Integer.toString(limit)));
    }

    // Expiry

    /** Nothing: Redis removes what is past its retention end (R7.7). */
    @Override
    public List<TokenRecord> readExpired(StoreScope scope, @Nullable TokenRecord after, int limit, Instant now) {
        link.ensureOpen();
        return List.of();
    }

    /** Nothing to do: Redis removes what is past its retention end (R7.7). */
    @Override
    public int expunge(StoreScope scope, int limit, Instant now) {
        link.ensureOpen();
        return 0;
    }

    // Fields

    private static @Nullable TokenRecord record(StoreScope scope, String jti, Map<String, String> fields) {
        return record(scope, jti, fields, Outcome.UNCHANGED);
    }

    /** @param outcome what is known of the action, should this be no record */
    private static @Nullable TokenRecord record(
            StoreScope scope, String jti, Map<String, String> fields, Outcome outcome) {
        String purpose = fields.get("p");
        if (purpose == null) {
            return null;
        }
        try {
            String json = fields.get("d");
            return new TokenRecord(
                    jti,
                    fields.get("s"),
                    purpose,
                    time(fields.get("i")),
                    Objects.requireNonNull(time(fields.get("e"))),
                    json == null ? null : ExtraData.ofJson(json),
                    Objects.requireNonNull(time(fields.get("c"))),
                    Objects.requireNonNull(time(fields.get("u"))),
                    time(fields.get("r")));
        } catch (IllegalArgumentException | NullPointerException e) {
            // Without the cause, which quotes what is there.
            throw Failures.spoiled(scope.domain(), outcome);
        }
    }

    private static @Nullable Instant time(@Nullable String millis) {
        return millis == null ? null : Instant.ofEpochMilli(Long.parseLong(millis));
    }

    private static String millis(@Nullable Instant time) {
        return time == null ? NONE : Long.toString(time.toEpochMilli());
    }

    private static String millis(Duration duration) {
        return Long.toString(duration.toMillis());
    }

    /** How long a key outlives its record's expiry: to the retention end, a skew more (R1.4), and the margin. */
    private static Duration grace(StoreScope scope) {
        return scope.skew().multipliedBy(2).plus(MARGIN);
    }

    /** What tells a repetition of this attempt from another one (R8.7). */
    private static String attempt() {
        return Long.toString(ThreadLocalRandom.current().nextLong(), Character.MAX_RADIX);
    }

    @Override
    public void close() {
        if (link.close() && owned != null) {
            owned.run();
        }
    }
}
