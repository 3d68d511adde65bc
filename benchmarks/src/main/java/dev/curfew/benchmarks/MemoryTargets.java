package dev.curfew.benchmarks;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.github.benmanes.caffeine.cache.Expiry;
import dev.curfew.TokenResource;
import dev.curfew.memory.MemoryTokenStore;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** In the memory of the JVM that measures; each fills itself. */
final class MemoryTargets {
    private MemoryTargets() {}

    static Target open(String who, int records) {
        return switch (who) {
            case "curfew" -> curfew(records);
            case "limit" -> new CaffeineLimit(records);
            case "map" -> new MapDenyList(records);
            default -> throw new IllegalArgumentException("There is no " + who + " in memory");
        };
    }

    private static Target curfew(int records) {
        MemoryTokenStore store = MemoryTokenStore.create();
        fill(store, records);
        return new CurfewTarget(store, records, null, store);
    }

    static void fill(MemoryTokenStore store, int records) {
        Load.watermarks(store, records);
        try (TokenResource tokens = CurfewTarget.resource(store, records)) {
            Load.through(tokens, 0, records, Data.now());
        }
    }

    /** A bare Caffeine cache in which every entry has an expiry of its own, and a look-up is one call. */
    private static final class CaffeineLimit implements Target {
        private record Entry(boolean revoked, long expiresAt) {}

        private final long end = Data.now().plus(Data.LIFETIME).toEpochMilli();
        private final Entry live = new Entry(false, end);
        private final Cache<String, Entry> records = cache();
        private final Cache<String, Entry> watermarks = cache();

        CaffeineLimit(int count) {
            for (int i = 0; i < count; i++) {
                records.put(Data.jti(i), new Entry(Data.isRevoked(i), end));
            }
            for (int i = 0; i < Data.WATERMARKS; i++) {
                watermarks.put(Data.watermarked(i), live);
            }
        }

        private static Cache<String, Entry> cache() {
            return Caffeine.newBuilder()
                    .executor(Runnable::run)
                    .expireAfter(Expiry.<String, Entry>creating((jti, entry) -> Data.LIFETIME))
                    .build();
        }

        @Override
        public Object isRevoked(String jti) {
            Entry entry = records.getIfPresent(jti);
            return entry != null && entry.revoked();
        }

        @Override
        public Object revoked(List<String> jtis) {
            return records.getAllPresent(jtis);
        }

        @Override
        public Object check(String jti, String subject) {
            Entry entry = records.getIfPresent(jti);
            Entry watermark = watermarks.getIfPresent(subject);
            return (entry == null || !entry.revoked()) && (watermark == null || watermark.expiresAt() > 0);
        }

        @Override
        public Object store(String jti) {
            records.put(jti, new Entry(false, end));
            return live;
        }

        @Override
        public Object revoke(String jti) {
            records.put(jti, new Entry(true, end));
            return live;
        }

        @Override
        public Object consume(String jti) {
            return records.asMap().replace(jti, new Entry(true, end)) != null;
        }

        @Override
        public void close() {
            records.invalidateAll();
        }
    }

    /** A deny-list as it is often written: jti to expiry, and a thread that sweeps once a minute. */
    private static final class MapDenyList implements Target {
        private final InstantSource clock = InstantSource.system();
        private final ConcurrentMap<String, Instant> denied = new ConcurrentHashMap<>();
        private final ScheduledExecutorService sweeper = Executors.newSingleThreadScheduledExecutor();
        private final Instant end = Data.now().plus(Data.LIFETIME);

        MapDenyList(int records) {
            for (int i = 0; i < records; i++) {
                if (Data.isRevoked(i)) {
                    denied.put(Data.jti(i), end);
                }
            }
            var unused = sweeper.scheduleWithFixedDelay(
                    () -> {
                        Instant now = clock.instant();
                        denied.values().removeIf(now::isAfter);
                    },
                    1,
                    1,
                    TimeUnit.MINUTES);
        }

        @Override
        public Object isRevoked(String jti) {
            @Nullable Instant until = denied.get(jti);
            return until != null && until.isAfter(clock.instant());
        }

        @Override
        public Object revoke(String jti) {
            return denied.put(jti, end) == null;
        }

        @Override
        public void close() {
            sweeper.shutdownNow();
        }
    }
}
