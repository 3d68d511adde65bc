package dev.curfew;

import java.time.Duration;
import java.time.Instant;

/**
 * What one run of {@link TokenResource#expungeExpired} did.
 *
 * @param domain the domain that was cleaned, all its tenants
 * @param removed how many records and watermarks were removed
 * @param batches how many batches it took, each its own transaction
 * @param startedAt when it started, by the resource's clock
 * @param duration how long it took, by the resource's clock
 */
public record ExpungeReport(String domain, long removed, long batches, Instant startedAt, Duration duration) {}
