package dev.curfew.servers;

import dev.curfew.Token;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;

/**
 * When each revocation was acknowledged, in a file that several processes have in their memory. Its times are readings of
 * {@link System#nanoTime}, which on one machine is the same clock in every process.
 */
final class Acknowledgements {
    /** In place of a time: the revocation was rolled back. */
    static final long ROLLED_BACK = -1;

    /** How many nodes there can be. */
    static final int NODES = 8;

    private static final int SIZE = 2_000_000;
    private static final int COUNT = 0;
    private static final int IS_OVER = 1;
    private static final int CLOCKS = 2;
    private static final int SERVING = CLOCKS + NODES;
    private static final int FIRST = SERVING + NODES;
    private static final VarHandle LONG = MethodHandles.byteBufferViewVarHandle(long[].class, ByteOrder.nativeOrder());

    private final MappedByteBuffer file;
    private final Instant start;

    /** @param start of the harness, by the wall clock */
    Acknowledgements(Path path, Instant start) {
        this.start = start;
        try (FileChannel channel =
                FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            file = channel.map(FileChannel.MapMode.READ_WRITE, 0, (long) (FIRST + SIZE) * Long.BYTES);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private long get(int place) {
        return (long) LONG.getVolatile(file, place * Long.BYTES);
    }

    private void set(int place, long value) {
        LONG.setVolatile(file, place * Long.BYTES, value);
    }

    /** The number of the next revocation. */
    int next() {
        long next = (long) LONG.getAndAdd(file, COUNT * Long.BYTES, 1L);
        if (next >= SIZE) {
            throw new IllegalStateException("More revocations than the file has room for");
        }
        return (int) next;
    }

    int count() {
        return (int) get(COUNT);
    }

    void acknowledge(int number) {
        set(FIRST + number, System.nanoTime());
    }

    void rollBack(int number) {
        set(FIRST + number, ROLLED_BACK);
    }

    /** When it was acknowledged; 0 if it was not, or not yet. */
    long at(int number) {
        return get(FIRST + number);
    }

    void end() {
        set(IS_OVER, 1);
    }

    boolean isOver() {
        return get(IS_OVER) != 0;
    }

    /** How far a node's wall clock is off. */
    void setClock(int node, Duration off) {
        set(CLOCKS + node, off.toMillis());
    }

    long clockMillis(int node) {
        return System.currentTimeMillis() + get(CLOCKS + node);
    }

    /** A node says that its replica answers by itself. */
    void serve(int node) {
        set(SERVING + node, System.nanoTime());
    }

    boolean hasServedSince(int node, long reading) {
        return get(SERVING + node) - reading > 0;
    }

    /** The token that a revocation is about. It names a session, so that a replica can answer for it. */
    Token token(int number) {
        return Token.of("jti-" + number, "subject-" + number, start.minusSeconds(60), start.plus(Duration.ofDays(2)))
                .withSession("session-" + number);
    }
}
