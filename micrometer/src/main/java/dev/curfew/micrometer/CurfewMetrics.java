package dev.curfew.micrometer;

import dev.curfew.ActionOutcome;
import dev.curfew.ExpungeReport;
import dev.curfew.ReplicaStatus;
import dev.curfew.TokenResource;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.TimeGauge;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.binder.BaseUnits;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Consumer;
import java.util.function.ToDoubleFunction;

/**
 * Metrics of one or several token resources, for Micrometer: a listener of outcomes that can be bound to a registry.
 *
 * <pre>{@code
 * var metrics = new CurfewMetrics();
 * var tokens = TokenResource.builder().url("memory:").onOutcome(metrics).build();
 * metrics.bindTo(registry);
 * }</pre>
 *
 * <table>
 *   <caption>The meters</caption>
 *   <tr><td>{@code curfew.action}</td><td>timer of every call; tags {@code domain}, {@code action} (the action's name in
 *     the resource) and {@code outcome} ({@link ActionOutcome#word})</td></tr>
 *   <tr><td>{@code curfew.store.failures}</td><td>counter of the calls in which the store failed or was not asked; tag
 *     {@code domain}</td></tr>
 *   <tr><td>{@code curfew.expunge.removed}</td><td>counter of the records and watermarks that clean-ups removed; tag
 *     {@code domain}</td></tr>
 *   <tr><td>{@code curfew.expunge.last.success}</td><td>time gauge: when the last clean-up of this process ended, since
 *     the epoch; tag {@code domain}. It is there from the first clean-up on</td></tr>
 * </table>
 *
 * <p>The meters of a local replica are apart: {@link #ofReplica}.
 *
 * <p>No jti, subject, session or tenant is a tag. The counters begin when the resource is built. The timer begins when
 * the metrics are bound to a registry.
 */
public final class CurfewMetrics implements MeterBinder, Consumer<ActionOutcome> {
    private final Map<String, Domain> domains = new ConcurrentHashMap<>();
    private final List<Bound> registries = new CopyOnWriteArrayList<>();

    /** Metrics that are bound to no registry yet. */
    public CurfewMetrics() {}

    /**
     * The meters of a resource's local replica; none where it has no replica. All have the tag {@code domain}.
     *
     * <table>
     *   <caption>The meters</caption>
     *   <tr><td>{@code curfew.replica.serving}</td><td>gauge: 1 while the replica answers checks, else 0</td></tr>
     *   <tr><td>{@code curfew.replica.age}</td><td>time gauge: how long ago the last complete poll began; not a number before
     *     the first one</td></tr>
     *   <tr><td>{@code curfew.replica.entries}</td><td>gauge: how many revocations the replica knows</td></tr>
     *   <tr><td>{@code curfew.replica.memory}</td><td>gauge: how many bytes they take</td></tr>
     *   <tr><td>{@code curfew.replica.local.share}</td><td>gauge: the part of all checks since the start that the replica
     *     answered, from 0 to 1</td></tr>
     *   <tr><td>{@code curfew.replica.loads}</td><td>counter: how often everything was read</td></tr>
     * </table>
     *
     * @param tokens the resource; a registry does not keep it alive
     */
    public static MeterBinder ofReplica(TokenResource tokens) {
        return registry -> {
            if (tokens.replicaStatus().isPresent()) {
                bindReplica(tokens, registry);
            }
        };
    }

    private static void bindReplica(TokenResource tokens, MeterRegistry registry) {
        Tags tags = Tags.of("domain", tokens.domain());
        gauge("serving", tokens, status -> status.isServing() ? 1 : 0)
                .description("Whether the local replica answers checks")
                .tags(tags)
                .register(registry);
        gauge("entries", tokens, ReplicaStatus::entries)
                .description("Revocations that the local replica knows")
                .tags(tags)
                .register(registry);
        gauge("memory", tokens, ReplicaStatus::bytes)
                .description("Memory of the local replica")
                .baseUnit(BaseUnits.BYTES)
                .tags(tags)
                .register(registry);
        gauge("local.share", tokens, ReplicaStatus::localShare)
                .description("Part of the checks that the local replica answered")
                .tags(tags)
                .register(registry);
        TimeGauge.builder("curfew.replica.age", tokens, TimeUnit.NANOSECONDS, of(CurfewMetrics::age))
                .description("How long ago the last complete poll of the local replica began")
                .tags(tags)
                .register(registry);
        FunctionCounter.builder("curfew.replica.loads", tokens, of(ReplicaStatus::loads))
                .description("How often the local replica read everything")
                .tags(tags)
                .register(registry);
    }

    private static Gauge.Builder<TokenResource> gauge(
            String name, TokenResource tokens, ToDoubleFunction<ReplicaStatus> value) {
        return Gauge.builder("curfew.replica." + name, tokens, of(value));
    }

    private static ToDoubleFunction<TokenResource> of(ToDoubleFunction<ReplicaStatus> value) {
        return tokens -> value.applyAsDouble(tokens.replicaStatus().orElseThrow());
    }

    private static double age(ReplicaStatus status) {
        Duration age = status.age();
        return age == null ? Double.NaN : age.toNanos();
    }

    /** What is counted of a domain, whether a registry is there or not. */
    private static final class Domain {
        final LongAdder failures = new LongAdder();
        final LongAdder removed = new LongAdder();
        volatile Instant lastSuccess = Instant.EPOCH;
    }

    private record TimerTags(String domain, String action, String outcome) {}

    /** A registry, and the meters in it: to look for a meter in the registry costs more than the call of a memory store. */
    private static final class Bound {
        private final MeterRegistry registry;
        private final Map<TimerTags, Timer> timers = new ConcurrentHashMap<>();
        private final Map<String, FunctionCounter> failures = new ConcurrentHashMap<>();
        private final Map<String, FunctionCounter> removed = new ConcurrentHashMap<>();
        private final Map<String, TimeGauge> lastSuccesses = new ConcurrentHashMap<>();

        Bound(MeterRegistry registry) {
            this.registry = registry;
        }

        void record(ActionOutcome outcome) {
            timers.computeIfAbsent(
                            new TimerTags(outcome.domain(), outcome.name(), outcome.word()),
                            tags -> Timer.builder("curfew.action")
                                    .description("Calls of the token resource")
                                    .tag("domain", tags.domain())
                                    .tag("action", tags.action())
                                    .tag("outcome", tags.outcome())
                                    .register(registry))
                    .record(outcome.duration());
        }

        void show(String name, Domain domain) {
            failures.computeIfAbsent(
                    name,
                    n -> FunctionCounter.builder("curfew.store.failures", domain, each -> each.failures.sum())
                            .description("Calls in which the token store failed, or was not asked")
                            .tag("domain", n)
                            .register(registry));
            removed.computeIfAbsent(
                    name,
                    n -> FunctionCounter.builder("curfew.expunge.removed", domain, each -> each.removed.sum())
                            .description("Records and watermarks that clean-ups removed")
                            .tag("domain", n)
                            .register(registry));
            if (!domain.lastSuccess.equals(Instant.EPOCH)) {
                lastSuccesses.computeIfAbsent(
                        name,
                        n -> TimeGauge.builder(
                                        "curfew.expunge.last.success",
                                        domain,
                                        TimeUnit.MILLISECONDS,
                                        each -> each.lastSuccess.toEpochMilli())
                                .description("When the last clean-up ended, since the epoch")
                                .tag("domain", n)
                                .register(registry));
            }
        }
    }

    /** Makes the meters known to a registry, from now on; several registries may be bound. */
    @Override
    public void bindTo(MeterRegistry registry) {
        var bound = new Bound(registry);
        registries.add(bound);
        domains.forEach(bound::show);
    }

    /** Counts one call; for {@link dev.curfew.TokenResource.Builder#onOutcome}. */
    @Override
    public void accept(ActionOutcome outcome) {
        Domain domain = domains.computeIfAbsent(outcome.domain(), name -> new Domain());
        if (outcome.isUnavailable()) {
            domain.failures.increment();
        }
        if (outcome.answer() instanceof ExpungeReport report) {
            domain.removed.add(report.removed());
            domain.lastSuccess = report.startedAt().plus(report.duration());
        }
        for (Bound bound : registries) {
            bound.show(outcome.domain(), domain);
            bound.record(outcome);
        }
    }
}
