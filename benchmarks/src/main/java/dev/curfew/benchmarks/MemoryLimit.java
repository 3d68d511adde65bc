package dev.curfew.benchmarks;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.github.benmanes.caffeine.cache.Expiry;
import java.util.List;

/** A bare Caffeine cache in which every entry has an expiry of its own, and a look-up is one call. */
final class MemoryLimit implements Target {
    private record Entry(boolean revoked, long expiresAt) {}

    private final long end = Data.now().plus(Data.LIFETIME).toEpochMilli();
    private final Cache<String, Entry> records = cache();
    private final Cache<String, Entry> watermarks = cache();

    MemoryLimit(int count) {
        for (int i = 0; i < count; i++) {
            records.put(Data.jti(i), new Entry(Data.isRevoked(i), end));
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
        return true;
    }

    @Override
    public Object revoke(String jti) {
        records.put(jti, new Entry(true, end));
        return true;
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
