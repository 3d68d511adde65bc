package dev.curfew;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * How a node's local replica is doing.
 *
 * @param entries how many revocations it knows: of jtis, sessions and subjects
 * @param bytes how much memory they take
 * @param age how long ago the last complete poll began, or {@code null} before the first one
 * @param isServing whether it answers checks; if not, they ask the store or are denied
 * @param localShare the part of the checks that were answered locally since the resource was built, from 0 to 1; 0 if
 *     there was no check
 * @param loads how often everything was read: once at the start, and again after each failover of the store, or when the
 *     clock has gone back
 */
public record ReplicaStatus(
        long entries, long bytes, @Nullable Duration age, boolean isServing, double localShare, long loads) {}
