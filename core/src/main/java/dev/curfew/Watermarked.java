package dev.curfew;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A store's answer, and the watermark of the subject that it is about: facts of one moment; the core decides.
 *
 * @param answer the answer of the verb
 * @param watermark the subject's watermark (R4.2), or {@code null} where there is none or no subject
 */
public record Watermarked<T>(T answer, @Nullable Instant watermark) {}
