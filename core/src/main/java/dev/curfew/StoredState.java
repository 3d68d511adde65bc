package dev.curfew;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A record and a watermark: facts, read at one moment or in one round trip; the core decides.
 *
 * @param record the record, or {@code null}; its extra data may be left out
 * @param watermark the subject's watermark (R4.2), or {@code null}
 */
public record StoredState(
        @Nullable TokenRecord record, @Nullable Instant watermark) {}
