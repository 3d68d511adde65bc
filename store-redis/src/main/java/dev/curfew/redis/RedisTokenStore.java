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
import io.lettuce.core.AbstractRedisClient;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisURI;
import io.lettuce.core.ScoredValue;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.output.BooleanOutput;
import io.lettuce.core.output.DoubleOutput;
import io.lettuce.core.output.MapOutput;
import io.lettuce.core.output.ValueListOutput;
import io.lettuce.core.output.ValueOutput;
import io.lettuce.core.protocol.CommandType;
import io.lettuce.core.resource.ClientResources;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A store in Redis 7.0 or later, or Valkey: standalone, behind sentinels, or in a cluster.
 *
 * <p>The keys below are those of the domain {@code tokens} and the empty tenant. Every key has a TTL: a record ends a
 * skew past its retention end, and the index of a subject ends with its last record. In names, {@code :},
 * <code>&#123;</code>, <code>&#125;</code> and {@code %} are percent-encoded.
 *
 * <pre>
 * curfew:tokens::token:JTI          hash: s subject, p purpose, i issued, e expires, d extra data, c created,
 *                                   u updated, r revoked, a the attempt that revoked it; times in milliseconds
 * curfew:tokens::watermark:SUBJECT  string: the watermark
 * curfew:tokens::subject:SUBJECT    sorted set: the jti of each record, whose score is the latest expiry that the
 *                                   record has had; and an empty jti, whose score is the latest expiry that was
 *                                   shortened
 * </pre>
 *
 * <p>A check by jti is one HEXISTS. A check of a token is an HMGET of the record and a GET of the watermark, pipelined.
 * Every change of a record is one script. The script that stores a record also writes the subject's index. In a
 * cluster, the record and the index may be on different servers. There, storing is two scripts:
 *
 * <ol>
 *   <li>one for the index: it adds the jti, or raises its score, and drops a few entries whose expiry has passed;
 *   <li>one for the record.
 * </ol>
 *
 * The index comes first, so that no failure leaves a live record that {@link #revokeStored} does not find. A failure
 * may leave an entry without a record. {@code revokeStored} then writes a revoked record for the entry: if the token is
 * stored later, it is revoked already. No script ever lowers a score. A script removes an entry only when its score has
 * passed, or when its record is revoked for good.
 */
public final class RedisTokenStore implements SelfExpiringTokenStore {
    private static final Logger LOG = LoggerFactory.getLogger(RedisTokenStore.class);

    /** The fields of a record that a check needs: all but the extra data. */
    private static final String[] FIELDS = {"s", "p", "i", "e", "c", "u", "r"};

    private static final int PAGE = 200;

    private final Link link;
    private final boolean strictDurability;
    private final int minReplicas;
    private final Runnable owned;
    private volatile @Nullable Keys keys;

    private RedisTokenStore(Builder settings) {
        AbstractRedisClient client = settings.client.get();
        this.link = new Link(client, settings.minReplicas);
        this.strictDurability = settings.strictDurability;
        this.minReplicas = settings.minReplicas;
        this.owned = () -> settings.shutdown.accept(client);
    }

    /**
     * A store on the application's own client, which stays open when the store is closed. The store makes a connection
     * of its own, to the URI that the client was made with.
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
        return new Builder(() -> client, any -> {});
    }

    /** A store in a cluster, on the application's own client, with other settings. */
    public static Builder builder(RedisClusterClient client) {
        present("client", client);
        return new Builder(() -> client, any -> {});
    }

    /**
     * A store with a client of its own, with the options that Curfew's page on Redis explains. This is the best choice.
     * The client uses the application's resources, which stay open when the store is closed.
     *
     * @param uri of one server, or with sentinels; the store changes the timeouts of this object
     */
    public static Builder builder(ClientResources resources, RedisURI uri) {
        present("resources", resources);
        present("uri", uri);
        return new Builder(() -> Clients.of(resources, uri), Clients::shutDown);
    }

    /**
     * A store in a cluster, with a client of its own, as {@link #builder(ClientResources, RedisURI)} makes one.
     *
     * @param uris of some nodes of the cluster; the store changes the timeouts of these objects
     */
    public static Builder builder(ClientResources resources, Collection<RedisURI> uris) {
        present("resources", resources);
        present("uris", uris);
        return new Builder(() -> Clients.ofCluster(resources, uris), Clients::shutDown);
    }

    private static void present(String name, @Nullable Object argument) {
        if (argument == null) {
            throw new IllegalArgumentException(name + " must not be null");
        }
    }

    /** The settings of a store; made by {@link RedisTokenStore#builder}. */
    public static final class Builder {
        private final Supplier<AbstractRedisClient> client;
        private Consumer<AbstractRedisClient> shutdown;
        private boolean strictDurability;
        private int minReplicas;

        private Builder(Supplier<AbstractRedisClient> client, Consumer<AbstractRedisClient> shutdown) {
            this.client = client;
            this.shutdown = shutdown;
        }

        /** Refuses a server whose settings may lose revocations; by default a warning is logged. */
        public Builder strictDurability() {
            this.strictDurability = true;
            return this;
        }

        /**
         * Makes every revocation wait until this number of replicas have it; 0 by default. If the replicas do not
         * answer in time, the call throws a {@link TokenStoreException} that says that the revocation is applied, but
         * not yet replicated.
         *
         * @throws IllegalArgumentException if the number is negative
         */
        public Builder minReplicas(int replicas) {
            if (replicas < 0) {
                throw new IllegalArgumentException("minReplicas must not be negative, but is " + replicas);
            }
            this.minReplicas = replicas;
            return this;
        }

        /** Shuts the resources down after the store's own client. */
        Builder owning(ClientResources resources) {
            this.shutdown = shutdown.andThen(client -> Clients.shutDown(resources));
            return this;
        }

        /** Makes the store, which connects when it is first used. */
        public RedisTokenStore build() {
            return new RedisTokenStore(this);
        }
    }

    /**
     * Connects, examines the server, and logs one warning of settings that may lose revocations, each with its remedy.
     *
     * @throws TokenStoreException if the server cannot be used, or if it may lose revocations and
     *     {@code strictDurability} is set
     */
    @Override
    public void prepare(StoreScope scope) {
        Set<String> findings = new Probe(link, new Call(scope, Instant.EPOCH), strictDurability, minReplicas)
                .findings(keys(scope).probe(UUID.randomUUID().toString()));
        if (link.isSeldomRefreshed()) {
            LOG.warn(
                    "Domain '{}' is kept in a cluster, and your RedisClusterClient refreshes its topology only after a"
                            + " failure: after a failover, checks are denied for longer. Set"
                            + " ClusterTopologyRefreshOptions.enablePeriodicRefresh.",
                    scope.domain());
        }
        if (findings.isEmpty()) {
            return;
        }
        String found = "Redis, for domain '" + scope.domain() + "': " + String.join("; ", findings);
        if (strictDurability) {
            throw new TokenStoreException(Outcome.UNCHANGED, found + ". strictDurability refuses such a server", null);
        }
        LOG.warn("{}. Revocations may be lost or refused.", found);
    }

    /** The names of the scope's keys. The names of the last scope that was used are kept. */
    private Keys keys(StoreScope scope) {
        Keys known = keys;
        if (known == null || !known.scope.equals(scope)) {
            known = new Keys(scope);
            keys = known;
        }
        return known;
    }

    // Checks

    @Override
    public boolean isRevoked(StoreScope scope, String jti, Instant now) {
        return link.ask(new Call(scope, now), isRevoked(keys(scope), jti));
    }

    private static Request<Boolean> isRevoked(Keys keys, String jti) {
        return Request.of(CommandType.HEXISTS, () -> new BooleanOutput<>(UTF8), keys.record(jti), "r");
    }

    @Override
    public Set<String> revoked(StoreScope scope, Collection<String> jtis, Instant now) {
        List<String> asked = List.copyOf(jtis);
        Keys keys = keys(scope);
        List<Boolean> answers = link.ask(
                new Call(scope, now),
                asked.stream().map(jti -> isRevoked(keys, jti)).toList());
        return IntStream.range(0, asked.size())
                .filter(answers::get)
                .mapToObj(asked::get)
                .collect(Collectors.toSet());
    }

    @Override
    public StoredState state(StoreScope scope, String jti, String subject, Instant now) {
        Keys keys = keys(scope);
        List<Object> answers = link.ask(
                new Call(scope, now),
                List.of(
                        Request.of(CommandType.HMGET, () -> new ValueListOutput<>(UTF8), keys.record(jti), FIELDS),
                        watermark(keys, subject)));
        Map<String, String> fields = new HashMap<>();
        List<?> values = (List<?>) answers.get(0);
        for (int i = 0; i < FIELDS.length; i++) {
            if (values.get(i) instanceof String value) {
                fields.put(FIELDS[i], value);
            }
        }
        return new StoredState(record(scope, jti, fields, Outcome.UNCHANGED), time((String) answers.get(1)));
    }

    @Override
    public StoredState find(StoreScope scope, String jti, Instant now) {
        var call = new Call(scope, now);
        TokenRecord record = record(scope, jti, link.ask(call, fields(keys(scope), jti)), Outcome.UNCHANGED);
        if (record == null || !record.isLive(now) || record.isRevoked()) {
            return new StoredState(record, null);
        }
        return new StoredState(record, watermark(call, record.subject()));
    }

    private @Nullable Instant watermark(Call call, @Nullable String subject) {
        return subject == null ? null : time(link.<@Nullable String>ask(call, watermark(keys(call.scope), subject)));
    }

    private static Request<@Nullable String> watermark(Keys keys, String subject) {
        return Request.<@Nullable String>of(CommandType.GET, () -> new ValueOutput<>(UTF8), keys.watermark(subject));
    }

    private static Request<Map<String, String>> fields(Keys keys, String jti) {
        return Request.of(CommandType.HGETALL, () -> new MapOutput<>(UTF8), keys.record(jti));
    }

    // Changes

    @Override
    public StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
        var call = new Call(scope, now);
        String subject = Objects.requireNonNull(record.subject(), "subject");
        String key = keys(scope).record(record.jti());
        String index = keys(scope).index(subject);
        if (link.isInCluster()) {
            // The two keys may be on different servers. The index comes first, so that no failure leaves a live record
            // without an entry.
            change(call, Script.INDEX, List.of(index), record.expiresAt(), record.jti());
        }
        ExtraData data = record.extraData();
        Request<List<String>> change = Request.of(
                Script.STORE,
                link.isInCluster() ? List.of(key) : List.of(key, index),
                call.arguments(
                        subject,
                        record.purpose(),
                        record.issuedAt(),
                        record.expiresAt(),
                        data == null ? null : data.json(),
                        record.jti()));
        String answer;
        try {
            answer = link.ask(call, change).get(0);
        } catch (TokenStoreException e) {
            mark(call, index, record.expiresAt());
            throw e;
        }
        if (answer.equals("REVOKED") && minReplicas > 0) {
            // Before the caller is told that the token is revoked, the replicas must have the revocation.
            answer = link.change(call, List.of(change)).get(0).get(0);
        } else if (answer.equals("MISMATCH")) {
            throw new SubjectMismatchException();
        }
        return StoreOutcome.valueOf(answer);
    }

    /**
     * Writes into the index that the order of the entries may differ from that of the expiries, up to
     * {@code expiresAt}. In a cluster, a failure may leave an entry with a raised score whose record has kept its
     * earlier expiry.
     */
    private void mark(Call call, String index, Instant expiresAt) {
        if (link.isInCluster() && call.left() > 0) {
            try {
                link.ask(call, Request.of(Script.INDEX, List.of(index), call.arguments(expiresAt, Entries.SHORTENED)));
            } catch (TokenStoreException e) {
                // Then a list of several pages may leave the token out, until it is stored again.
            }
        }
    }

    @Override
    public RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
        List<String> answer = change(
                new Call(scope, now),
                Script.REVOKE,
                List.of(keys(scope).record(revocation.jti())),
                revocation.subject(),
                revocation.issuedAt(),
                revocation.expiresAt(),
                keepUntil);
        return RevokeOutcome.valueOf(answer.get(0));
    }

    @Override
    public Watermarked<Consumption> consume(
            StoreScope scope, String jti, @Nullable String subject, String purpose, Instant now) {
        var call = new Call(scope, now);
        Keys keys = keys(scope);
        String watermarks = link.isInCluster() ? null : keys.watermarks();
        List<String> answer = change(call, Script.CONSUME, List.of(keys.record(jti)), subject, purpose, watermarks);
        if (!answer.get(0).equals("CONSUMED")) {
            return new Watermarked<>(Refused.valueOf(answer.get(0)), null);
        }
        Map<String, String> fields = new HashMap<>();
        for (int i = 2; i < answer.size(); i += 2) {
            fields.put(answer.get(i), answer.get(i + 1));
        }
        TokenRecord used = Objects.requireNonNull(record(scope, jti, fields, Outcome.UNKNOWN));
        return new Watermarked<>(new Consumed(used), watermark(call, used, answer.get(1)));
    }

    /** The watermark that the script has read; in a cluster another server may have it. */
    private @Nullable Instant watermark(Call call, TokenRecord used, String read) {
        try {
            return !link.isInCluster() ? time(read.isEmpty() ? null : read) : watermark(call, used.subject());
        } catch (TokenStoreException e) {
            throw Failures.of(Outcome.UNKNOWN, call.scope.domain(), "CONSUMED", e);
        }
    }

    @Override
    public void revokeSubject(StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now) {
        List<String> key = List.of(keys(scope).watermark(subject));
        change(new Call(scope, now), Script.REVOKE_SUBJECT, key, watermark, keepUntil.plus(Call.MARGIN));
    }

    private List<String> change(Call call, Script script, List<String> keys, @Nullable Object... arguments) {
        return link.change(call, List.of(Request.of(script, keys, call.arguments(arguments))))
                .get(0);
    }

    // Subjects

    @Override
    public int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
        var call = new Call(scope, now);
        Keys keys = keys(scope);
        var entries = new Entries(link, call, keys.index(subject), now.toEpochMilli() + 1);
        int revoked = 0;
        try {
            List<ScoredValue<String>> some = entries.next(limit);
            while (!some.isEmpty()) {
                List<Request<List<String>>> requests = some.stream()
                        .map(entry -> Request.of(
                                Script.REVOKE_STORED,
                                List.of(keys.record(entry.getValue())),
                                call.arguments(subject, score(entry))))
                        .toList();
                List<List<String>> answers = link.change(call, requests);
                List<String> done = new ArrayList<>();
                for (int i = 0; i < answers.size(); i++) {
                    String answer = answers.get(i).get(0);
                    if (!answer.equals("OTHER")) {
                        done.addAll(List.of(some.get(i).getValue(), score(some.get(i))));
                        revoked += answer.equals("REVOKED") ? 1 : 0;
                    }
                }
                if (!done.isEmpty()) {
                    link.ask(call, Request.of(Script.DROP, List.of(keys.index(subject)), done.toArray(String[]::new)));
                }
                some = revoked < limit ? entries.next(limit - revoked) : List.of();
            }
        } catch (TokenStoreException e) {
            boolean isWhole = e.outcome() == Outcome.APPLIED_NOT_REPLICATED ? entries.isAtEnd() : revoked == 0;
            throw isWhole || e.outcome() == Outcome.UNKNOWN
                    ? e
                    : Failures.of(Outcome.UNKNOWN, scope.domain(), "SOME_REVOKED", e);
        }
        return revoked;
    }

    private static String score(ScoredValue<String> entry) {
        return Long.toString((long) entry.getScore());
    }

    @Override
    public Watermarked<List<TokenRecord>> list(
            StoreScope scope, String subject, @Nullable TokenRecord after, int limit, Instant now) {
        var call = new Call(scope, now);
        Keys keys = keys(scope);
        List<@Nullable Object> answers = link.ask(
                call,
                List.of(
                        Request.of(
                                CommandType.ZSCORE,
                                () -> new DoubleOutput<>(UTF8),
                                keys.index(subject),
                                Entries.SHORTENED),
                        watermark(keys, subject)));
        // Up to the latest expiry that was shortened, the order of the scores may differ from that of the expiries.
        double shortened = answers.get(0) instanceof Double latest ? latest : Double.NEGATIVE_INFINITY;
        // No record expires later than its score. So a record that comes after this place cannot have a lower score.
        long from = Math.max(
                now.toEpochMilli() + 1,
                after == null ? Long.MIN_VALUE : after.expiresAt().toEpochMilli());
        var entries = new Entries(link, call, keys.index(subject), from);
        var page = new TreeSet<>(TokenRecord.BY_EXPIRY);
        do {
            List<ScoredValue<String>> some = entries.next(Math.min(limit + 1, PAGE));
            List<Map<String, String>> found = link.ask(
                    call,
                    some.stream().map(entry -> fields(keys, entry.getValue())).toList());
            for (int i = 0; i < some.size(); i++) {
                TokenRecord record = record(scope, some.get(i).getValue(), found.get(i), Outcome.UNCHANGED);
                if (record != null
                        && subject.equals(record.subject())
                        && record.isLive(now)
                        && !record.isRevoked()
                        && (after == null || TokenRecord.BY_EXPIRY.compare(record, after) > 0)) {
                    page.add(record);
                }
            }
            while (page.size() > limit) {
                page.pollLast();
            }
        } while (!entries.isAtEnd()
                && (page.size() < limit
                        || page.last().expiresAt().toEpochMilli() >= entries.score()
                        || shortened >= entries.score()));
        return new Watermarked<>(List.copyOf(page), time((String) answers.get(1)));
    }

    // Expiry

    /** Answers nothing: Redis itself removes records that are past their retention end (R7.7). */
    @Override
    public List<TokenRecord> readExpired(StoreScope scope, @Nullable TokenRecord after, int limit, Instant now) {
        link.ensureOpen();
        return List.of();
    }

    /** Does nothing: Redis itself removes records that are past their retention end (R7.7). */
    @Override
    public int expunge(StoreScope scope, int limit, Instant now) {
        link.ensureOpen();
        return 0;
    }

    // Fields

    /** @param outcome of the action, for the exception if the fields are not a record's */
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
            // Without the cause, whose message quotes the fields.
            throw Failures.of(outcome, scope.domain(), "SPOILED", null);
        }
    }

    private static @Nullable Instant time(@Nullable String millis) {
        return millis == null ? null : Instant.ofEpochMilli(Long.parseLong(millis));
    }

    @Override
    public void close() {
        if (link.close()) {
            owned.run();
        }
    }
}
