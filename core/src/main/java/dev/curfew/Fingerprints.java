package dev.curfew;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;

/**
 * A set of 64-bit hashes, each with the hour in which it ends and, in a set with values, a value. A look-up takes no lock
 * and makes no object.
 *
 * <p>The first 14 bits of a hash choose a segment. A segment is an open-addressing table. One word holds the other 50
 * bits and the hour, so the whole hash is compared. A segment grows, or loses what has ended, in a copy that then
 * replaces it: a reader never misses an entry because others are moved.
 */
final class Fingerprints {
    /** Answered by {@link #find} where there is no such hash. */
    static final long ABSENT = Long.MIN_VALUE;
    /** The last hour: such an entry is never swept. */
    static final int NEVER = (1 << 14) - 1;

    private static final int SEGMENT_SHIFT = 50;
    private static final int HOUR_BITS = 14;
    private static final int HEADER_BYTES = 16;
    private static final VarHandle WORD = MethodHandles.arrayElementVarHandle(long[].class);
    private static final VarHandle SEGMENT = MethodHandles.arrayElementVarHandle(long[][].class);

    private final int width;
    // Both are made with the first entry, before the size is written.
    private long[][] segments = {};
    private int[] counts = {};
    private volatile long size;

    Fingerprints(boolean hasValues) {
        this.width = hasValues ? 2 : 1;
    }

    boolean isEmpty() {
        return size == 0;
    }

    long size() {
        return size;
    }

    /** The value of a hash, 0 in a set without values, or {@link #ABSENT}. */
    long find(long hash) {
        if (size == 0) {
            return ABSENT;
        }
        var segment = (long[]) SEGMENT.getAcquire(segments, (int) (hash >>> SEGMENT_SHIFT));
        int at = place(hash, segment);
        if (at < 0) {
            return ABSENT;
        }
        return width == 1 ? 0 : (long) WORD.getAcquire(segment, at + 1);
    }

    boolean contains(long hash) {
        return find(hash) != ABSENT;
    }

    /** Where the hash is in a segment; if it is not there, the complement of the empty place where the search has ended. */
    private int place(long hash, long[] segment) {
        int slots = segment.length / width;
        // The upper 32 of the 50 bits, as a fraction of the number of slots.
        int slot = (int) ((((hash >>> (SEGMENT_SHIFT - Integer.SIZE)) & 0xFFFF_FFFFL) * slots) >>> Integer.SIZE);
        while (true) {
            long word = (long) WORD.getAcquire(segment, slot * width);
            if (word == 0) {
                return ~(slot * width);
            } else if (word >>> HOUR_BITS == (hash & (-1L >>> HOUR_BITS))) {
                return slot * width;
            }
            slot = slot + 1 == slots ? 0 : slot + 1;
        }
    }

    /** Adds a hash. If it is there, the later hour and the greater value stand. */
    synchronized void put(long hash, int hour, long value) {
        if (segments.length == 0) {
            segments = new long[1 << (Long.SIZE - SEGMENT_SHIFT)][];
            counts = new int[segments.length];
            Arrays.fill(segments, new long[width]); // one empty slot, which ends each search
        }
        int index = (int) (hash >>> SEGMENT_SHIFT);
        long[] segment = segments[index];
        int at = place(hash, segment);
        boolean isNew = at < 0;
        if (isNew && (counts[index] + 1) * 4 > segment.length / width * 3) {
            segment = resized(segment, counts[index] + 1, 0);
            at = place(hash, segment);
        }
        at = isNew ? ~at : at;
        if (width == 2 && (isNew || value > segment[at + 1])) {
            WORD.setRelease(segment, at + 1, value);
        }
        long word = (hash << HOUR_BITS) | hour;
        if (isNew || Long.compareUnsigned(word, segment[at]) > 0) {
            WORD.setRelease(segment, at, word);
        }
        SEGMENT.setRelease(segments, index, segment);
        if (isNew) {
            counts[index]++;
            size++;
        }
    }

    /** A copy with room for so many entries, without those that end by the hour. */
    private long[] resized(long[] segment, int entries, int until) {
        long[] copy = new long[(entries + entries / 2 + 4) * width];
        for (int i = 0; i < segment.length; i += width) {
            if (segment[i] != 0 && hour(segment[i]) > until) {
                int at = ~place(hash(segment[i]), copy);
                System.arraycopy(segment, i, copy, at, width);
            }
        }
        return copy;
    }

    private static int hour(long word) {
        return (int) (word & NEVER);
    }

    /** The hash without its first bits, which a place within a segment does not depend on. */
    private static long hash(long word) {
        return word >>> HOUR_BITS;
    }

    /** Removes what ends in the hour or before it. */
    void sweep(int until) {
        for (int index = 0; index < segments.length; index++) {
            sweep(index, Math.min(until, NEVER - 1));
        }
    }

    private synchronized void sweep(int index, int until) {
        long[] segment = segments[index];
        int left = 0;
        for (int i = 0; i < segment.length; i += width) {
            if (segment[i] != 0 && hour(segment[i]) > until) {
                left++;
            }
        }
        if (left < counts[index]) {
            SEGMENT.setRelease(segments, index, resized(segment, left, until));
            size -= counts[index] - left;
            counts[index] = left;
        }
    }

    /** How much memory the entries take. */
    synchronized long bytes() {
        long bytes = 0;
        for (long[] segment : segments) {
            bytes += segment.length == width ? 0 : HEADER_BYTES + Long.BYTES * (long) segment.length;
        }
        return bytes + (long) segments.length * (Integer.BYTES + Integer.BYTES);
    }
}
