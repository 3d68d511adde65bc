package dev.curfew.servers;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Speaks to a Redis in its own words, one at a time: a test's own way, which is not the driver's. */
public final class RedisConnection implements AutoCloseable {
    private static final int TIMEOUT_MILLIS = 30_000;

    private final Socket socket;
    private final InputStream in;

    /** Connects to a Redis on this machine. */
    public RedisConnection(int port) {
        try {
            socket = new Socket();
            socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), TIMEOUT_MILLIS);
            socket.setSoTimeout(TIMEOUT_MILLIS);
            in = new BufferedInputStream(socket.getInputStream());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Sends a command and waits for its reply.
     *
     * @return a {@code String}, a {@code Long}, a {@code List} or {@code null}
     * @throws IllegalStateException if the reply is an error, with its text
     */
    public @Nullable Object command(String... words) {
        send(words);
        return reply();
    }

    /** Sends a command, and does not wait. */
    public void send(String... words) {
        var out = new ByteArrayOutputStream();
        out.writeBytes(("*" + words.length + "\r\n").getBytes(StandardCharsets.UTF_8));
        for (String word : words) {
            byte[] bytes = word.getBytes(StandardCharsets.UTF_8);
            out.writeBytes(("$" + bytes.length + "\r\n").getBytes(StandardCharsets.UTF_8));
            out.writeBytes(bytes);
            out.writeBytes(new byte[] {'\r', '\n'});
        }
        try {
            socket.getOutputStream().write(out.toByteArray());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Waits for the next reply, as {@link #command} does. */
    public @Nullable Object reply() {
        try {
            String line = line();
            String rest = line.substring(1);
            switch (line.charAt(0)) {
                case '+' -> {
                    return rest;
                }
                case ':' -> {
                    return Long.valueOf(rest);
                }
                case '$' -> {
                    int length = Integer.parseInt(rest);
                    if (length < 0) {
                        return null;
                    }
                    String text = new String(in.readNBytes(length), StandardCharsets.UTF_8);
                    in.skipNBytes(2);
                    return text;
                }
                case '*' -> {
                    List<@Nullable Object> elements = new ArrayList<>();
                    for (int i = Integer.parseInt(rest); i > 0; i--) {
                        elements.add(reply());
                    }
                    return elements;
                }
                default -> throw new IllegalStateException(rest);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private String line() throws IOException {
        var line = new ByteArrayOutputStream();
        for (int read = in.read(); read != '\r'; read = in.read()) {
            if (read < 0) {
                throw new IOException("The server has closed the connection");
            }
            line.write(read);
        }
        in.skipNBytes(1);
        return line.toString(StandardCharsets.UTF_8);
    }

    @Override
    public void close() {
        try {
            socket.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
