package dev.curfew.redis;

import dev.curfew.Consumption;
import dev.curfew.Consumption.Consumed;
import dev.curfew.Consumption.Refused;
import dev.curfew.ExtraData;
import dev.curfew.RevocationFeed;
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
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.protocol.CommandType;
import io.lettuce.core.resource.ClientResources;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A store in Redis 7.0 or later, or Valkey: standalone, behind sentinels, or in a cluster.
 *
 * <p>The keys below are those of the domain {@code tokens} and the empty tenant, in the partition {@code g}. Every key but
 * a feed has a TTL: a record ends a skew past its retention end, and the index of a subject ends with its last record. In
 * names, {@code :}, <code>&#123;</code>, <code>&#125;</code> and {@code %} are percent-encoded.
 *
 * <pre>
 * curfew:{tokens:g.}::token:JTI          hash: s subject, p purpose, i issued, e expires, d extra data, c created,
 *                                        u updated, r revoked, a the attempt that revoked it, g session, n successor;
 *                                        times in milliseconds
 * curfew:{tokens:g.}::watermark:SUBJECT  hash: r the watermark, e its retention end
 * curfew:{tokens:g.}::session:SESSION    hash of a revoked session: r revoked, a the attempt that revoked it, e the
 *                                        retention end of the revocation
 * curfew:{tokens:g.}::subject:SUBJECT    sorted set: the jti of each record, whose score is the latest expiry that the
 *                                        record has had; and an empty jti, whose score is the latest expiry that was
 *                                        shortened
 * curfew:{tokens:g.}:feed                stream of the partition's revocations: k is E:R:KEY, where E is the field e above,
 *                                        R is the field r of a watermark and else empty, and KEY is the key without its
 *                                        prefix
 * </pre>
 *
 * <p>A hash of the jti, subject or session chooses one of 16 partitions, {@code a} to {@code p}. Each is one slot of a
 * cluster, so that the script that revokes can write the partition's stream, too.
 *
 * <p>A check by jti is one HEXISTS. A check of a token is an HMGET of the record and one of the watermark, pipelined;
 * if the token has a session, also an HEXISTS of the session's revocation. Every change of a record is one script. The
 * script that stores a record also writes the subject's index. In a cluster, the record and the index may be on
 * different servers. There, storing is two scripts:
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
    private static final String[] FIELDS = {"s", "p", "i", "e", "c", "u", "r", "g", "n"};

    private static final int PAGE = 200;

    private final Link link;
    private final boolean strictDurability;
    private final int minReplicas;
    private final Runnable owned;

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
        Set<String> findings =
                new Probe(link, new Call(scope, Instant.EPOCH), strictDurability, minReplicas).findings();
        if (link.isSeldomRefreshed()) {
            LOG.warn("Redis, for domain '{}': {}.", scope.domain(), Failures.text("SELDOM_REFRESHED"));
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

    // Checks

    @Override
    public boolean isRevoked(StoreScope scope, String jti, Instant now) {
        var call = new Call(scope, now);
        return isYes(link.ask(call, isRevoked(call.keys.record(jti))));
    }

    /** @param key of a record, or of the revocation of a session */
    private static Request isRevoked(String key) {
        return Request.of(CommandType.HEXISTS, key, "r");
    }

    private static boolean isYes(Answer answer) {
        return answer.first().equals("1");
    }

    @Override
    public Set<String> revoked(StoreScope scope, Collection<String> jtis, Instant now) {
        var call = new Call(scope, now);
        return revoked(call, jtis, call.keys::record);
    }

    @Override
    public Set<String> revokedSessions(StoreScope scope, Collection<String> sessions, Instant now) {
        var call = new Call(scope, now);
        return revoked(call, sessions, call.keys::session);
    }

    private Set<String> revoked(Call call, Collection<String> names, UnaryOperator<String> key) {
        List<String> asked = List.copyOf(names);
        List<Answer> answers = link.ask(
                call, asked.stream().map(key).map(RedisTokenStore::isRevoked).toList());
        return IntStream.range(0, asked.size())
                .filter(i -> isYes(answers.get(i)))
                .mapToObj(asked::get)
                .collect(Collectors.toSet());
    }

    @Override
    public StoredState state(StoreScope scope, String jti, String subject, @Nullable String session, Instant now) {
        var call = new Call(scope, now);
        List<Request> requests = new ArrayList<>(List.of(
                Request.of(CommandType.HMGET, call.keys.record(jti), FIELDS), watermark(call.keys.watermark(subject))));
        if (session != null) {
            requests.add(isRevoked(call.keys.session(session)));
        }
        List<Answer> answers = link.ask(call, requests);
        Map<String, @Nullable String> fields = new HashMap<>();
        for (int i = 0; i < FIELDS.length; i++) {
            String value = answers.get(0).text(i);
            if (value != null) {
                fields.put(FIELDS[i], value);
            }
        }
        return new StoredState(
                record(scope, jti, fields, Outcome.UNCHANGED),
                time(answers.get(1).text(0)),
                session != null && isYes(answers.get(2)));
    }

    @Override
    public StoredState find(StoreScope scope, String jti, Instant now) {
        var call = new Call(scope, now);
        Answer answer = link.ask(call, Request.of(CommandType.HGETALL, call.keys.record(jti)));
        TokenRecord record = record(scope, jti, answer.fields(0), Outcome.UNCHANGED);
        if (record == null || !record.isLive(now) || record.isRevoked()) {
            return new StoredState(record, null, false);
        }
        return new StoredState(record, watermark(call, record.subject()), false);
    }

    private static Request watermark(String key) {
        return Request.of(CommandType.HMGET, key, "r");
    }

    private @Nullable Instant watermark(Call call, @Nullable String subject) {
        return subject == null
                ? null
                : time(link.ask(call, watermark(call.keys.watermark(subject))).text(0));
    }

    // Changes

    @Override
    public StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
        var call = new Call(scope, now);
        String subject = Objects.requireNonNull(record.subject(), "subject");
        String key = call.keys.record(record.jti());
        String index = call.keys.index(subject);
        if (link.isInCluster()) {
            // The two keys may be on different servers. The index comes first, so that no failure leaves a live record
            // without an entry.
            link.change(call, List.of(call.script(Script.INDEX, List.of(index), record.expiresAt(), record.jti())));
        }
        ExtraData data = record.extraData();
        Request change = call.script(
                Script.STORE,
                link.isInCluster() ? List.of(key) : List.of(key, index),
                subject,
                record.purpose(),
                record.issuedAt(),
                record.expiresAt(),
                data == null ? null : data.json(),
                record.session(),
                record.jti());
        String answer;
        try {
            answer = link.ask(call, change).first();
        } catch (TokenStoreException e) {
            mark(call, index, record.expiresAt());
            throw e;
        }
        if (answer.equals("REVOKED") && minReplicas > 0) {
            // Before the caller is told that the token is revoked, the replicas must have the revocation.
            answer = link.change(call, List.of(change)).get(0).first();
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
                link.ask(call, call.script(Script.INDEX, List.of(index), expiresAt, Entries.SHORTENED));
            } catch (TokenStoreException e) {
                // Then a list of several pages may leave the token out, until it is stored again.
            }
        }
    }

    @Override
    public RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
        var call = new Call(scope, now);
        Answer answer = revoke(
                call,
                Script.REVOKE,
                call.keys.record(revocation.jti()),
                revocation.subject(),
                revocation.issuedAt(),
                revocation.expiresAt(),
                revocation.session(),
                keepUntil);
        return RevokeOutcome.valueOf(answer.first());
    }

    @Override
    public Watermarked<Consumption> consume(
            StoreScope scope,
            String jti,
            @Nullable String subject,
            String purpose,
            @Nullable String successor,
            Instant now) {
        var call = new Call(scope, now);
        Answer answer =
                revoke(call, Script.CONSUME, call.keys.record(jti), subject, purpose, successor, !link.isInCluster());
        if (!answer.first().equals("CONSUMED")) {
            return new Watermarked<>(Refused.valueOf(answer.first()), null);
        }
        TokenRecord used = Objects.requireNonNull(record(scope, jti, answer.fields(2), Outcome.UNKNOWN));
        try {
            // The script has read the watermark, unless another node of the cluster may have it.
            Instant watermark = link.isInCluster() ? watermark(call, used.subject()) : time(answer.text(1));
            return new Watermarked<>(new Consumed(used), watermark);
        } catch (TokenStoreException e) {
            throw Failures.of(Outcome.UNKNOWN, scope.domain(), "CONSUMED", e);
        }
    }

    @Override
    public void revokeSubject(StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now) {
        var call = new Call(scope, now);
        revoke(call, Script.REVOKE_SUBJECT, call.keys.watermark(subject), watermark, keepUntil);
    }

    @Override
    public RevokeOutcome revokeSession(StoreScope scope, String session, Instant keepUntil, Instant now) {
        var call = new Call(scope, now);
        Answer answer = revoke(call, Script.REVOKE_SESSION, call.keys.session(session), keepUntil);
        return RevokeOutcome.valueOf(answer.first());
    }

    private Answer revoke(Call call, Script script, String key, @Nullable Object... arguments) {
        return link.change(call, List.of(call.script(script, Keys.withStream(key), arguments)))
                .get(0);
    }

    // Subjects

    @Override
    public int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
        var call = new Call(scope, now);
        String index = call.keys.index(subject);
        var entries = new Entries(link, call, index, now.toEpochMilli() + 1);
        int revoked = 0;
        try {
            Map<String, Long> some = entries.next(limit);
            while (!some.isEmpty()) {
                List<Request> requests = new ArrayList<>();
                some.forEach((jti, score) -> requests.add(
                        call.script(Script.REVOKE_STORED, Keys.withStream(call.keys.record(jti)), subject, score)));
                Iterator<Answer> answers = link.change(call, requests).iterator();
                List<String> done = new ArrayList<>();
                for (Map.Entry<String, Long> entry : some.entrySet()) {
                    String answer = answers.next().first();
                    if (!answer.equals("OTHER")) {
                        done.add(entry.getKey());
                        done.add(entry.getValue().toString());
                        revoked += answer.equals("REVOKED") ? 1 : 0;
                    }
                }
                if (!done.isEmpty()) {
                    link.ask(call, Request.of(Script.DROP, List.of(index), done.toArray(String[]::new)));
                }
                some = revoked < limit ? entries.next(limit - revoked) : Map.of();
            }
        } catch (TokenStoreException e) {
            boolean isWhole = e.outcome() == Outcome.APPLIED_NOT_REPLICATED ? entries.isAtEnd() : revoked == 0;
            throw isWhole || e.outcome() == Outcome.UNKNOWN
                    ? e
                    : Failures.of(Outcome.UNKNOWN, scope.domain(), "SOME_REVOKED", e);
        }
        return revoked;
    }

    @Override
    public Watermarked<List<TokenRecord>> list(
            StoreScope scope, String subject, @Nullable TokenRecord after, int limit, Instant now) {
        var call = new Call(scope, now);
        String index = call.keys.index(subject);
        List<Answer> answers = link.ask(
                call,
                List.of(
                        Request.of(CommandType.ZSCORE, index, Entries.SHORTENED),
                        watermark(call.keys.watermark(subject))));
        // Up to the latest expiry that was shortened, the order of the scores may differ from that of the expiries.
        long shortened = Entries.score(answers.get(0).text(0));
        // No record expires later than its score. So a record that comes after this place cannot have a lower score.
        long from = Math.max(
                now.toEpochMilli() + 1,
                after == null ? Long.MIN_VALUE : after.expiresAt().toEpochMilli());
        var entries = new Entries(link, call, index, from);
        var page = new TreeSet<>(TokenRecord.BY_EXPIRY);
        do {
            List<String> jtis =
                    List.copyOf(entries.next(Math.min(limit + 1, PAGE)).keySet());
            List<Request> requests = jtis.stream()
                    .map(jti -> Request.of(CommandType.HGETALL, call.keys.record(jti)))
                    .toList();
            List<Answer> found = link.ask(call, requests);
            for (int i = 0; i < jtis.size(); i++) {
                TokenRecord record = record(scope, jtis.get(i), found.get(i).fields(0), Outcome.UNCHANGED);
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
        return new Watermarked<>(List.copyOf(page), time(answers.get(1).text(0)));
    }

    /** The feed, which needs no switch: every revocation of the domain is in it, by whichever node. */
    @Override
    public RevocationFeed feed() {
        return new Feed(link);
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
            StoreScope scope, String jti, Map<String, @Nullable String> fields, Outcome outcome) {
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
                    time(fields.get("r")),
                    fields.get("g"),
                    fields.get("n"));
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
