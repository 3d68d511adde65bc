package dev.curfew.servers;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/** Stands between a client and a server, and passes on, delays, swallows or cuts. */
public final class TcpProxy implements AutoCloseable {

    private enum Mode {
        PASS,
        SWALLOW,
        CUT_ON_REPLY
    }

    private record Doom(String text, End how) {}

    private enum End {
        CUT,
        HALF,
        SILENCE
    }

    private final ServerSocket listener;
    private final String host;
    private volatile int port;
    private final Set<Pair> pairs = ConcurrentHashMap.newKeySet();
    private volatile Mode mode = Mode.PASS;
    private volatile Duration delay = Duration.ZERO;
    private final AtomicReference<@Nullable Doom> doom = new AtomicReference<>();
    private volatile BiConsumer<Object, byte[]> requests = (connection, bytes) -> {};

    private TcpProxy(String host, int port) throws IOException {
        this.host = host;
        this.port = port;
        this.listener = new ServerSocket(0, 200, InetAddress.getLoopbackAddress());
        daemon("accept", this::accept);
    }

    /** A proxy before a server, on a port of its own. */
    public static TcpProxy to(String host, int port) {
        try {
            return new TcpProxy(host, port);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The port on which it listens, on the loopback address. */
    public int port() {
        return listener.getLocalPort();
    }

    /** Passes everything on, at once. */
    public void pass() {
        delay = Duration.ZERO;
        mode = Mode.PASS;
    }

    /** Passes everything on, each piece so much later. */
    public void delay(Duration each) {
        delay = each;
        mode = Mode.PASS;
    }

    /** Accepts, reads, and lets nothing through in either direction: a network that drops what it gets. */
    public void swallow() {
        mode = Mode.SWALLOW;
    }

    /** Connects to another port of the same host from now on; what is connected stays: an address that has moved. */
    public void redirect(int port) {
        this.port = port;
    }

    /**
     * Lets nothing through any more on the connections that exist now, in either direction, and passes on new ones: a
     * firewall that has forgotten idle connections.
     */
    public void swallowExisting() {
        pairs.forEach(pair -> pair.forgotten = true);
    }

    /** Cuts a connection as soon as the server replies on it: what was asked is done, and the reply is lost. */
    public void cutOnReply() {
        mode = Mode.CUT_ON_REPLY;
    }

    /**
     * The same once, for the next request that has this text among its bytes: the connection is cut that it came on, and
     * everything else is passed on.
     */
    public void cutOnReplyTo(String text) {
        doom.set(new Doom(text, End.CUT));
    }

    /** The same, but the first half of the reply is passed on before the connection is cut. */
    public void cutWithinReplyTo(String text) {
        doom.set(new Doom(text, End.HALF));
    }

    /** The same, but the connection stays, and no reply comes on it any more. */
    public void silenceOnReplyTo(String text) {
        doom.set(new Doom(text, End.SILENCE));
    }

    /** Whether the request has come that {@link #cutOnReplyTo} or {@link #silenceOnReplyTo} waits for. */
    public boolean hasStruck() {
        return doom.get() == null;
    }

    /** Cuts all connections now; new ones are accepted. */
    public void cut() {
        pairs.forEach(Pair::cut);
    }

    /** Shows what clients send, by connection, before it is passed on. */
    public void onRequest(BiConsumer<Object, byte[]> listener) {
        requests = listener;
    }

    private void accept() {
        try {
            while (!listener.isClosed()) {
                Socket client = listener.accept();
                daemon("connect", () -> connect(client));
            }
        } catch (IOException e) {
            // Closed.
        }
    }

    private void connect(Socket client) {
        try {
            var pair = new Pair(client, new Socket(host, port));
            pairs.add(pair);
            daemon("replies", () -> pair.pump(pair.server, pair.client, true));
            pair.pump(pair.client, pair.server, false);
        } catch (IOException e) {
            reset(client);
        }
    }

    private static void daemon(String what, Runnable work) {
        var thread = new Thread(work, "tcp-proxy-" + what);
        thread.setDaemon(true);
        thread.start();
    }

    private static void reset(Socket socket) {
        try {
            socket.setSoLinger(true, 0); // a reset, not a farewell
            socket.close();
        } catch (IOException e) {
            // It is gone already.
        }
    }

    private final class Pair {
        final Socket client;
        final Socket server;
        // What becomes of it with its next reply.
        volatile @Nullable Doom doomed;
        // Whether nothing passes on it any more.
        volatile boolean forgotten;

        Pair(Socket client, Socket server) throws IOException {
            this.client = client;
            this.server = server;
            client.setTcpNoDelay(true);
            server.setTcpNoDelay(true);
        }

        void pump(Socket from, Socket to, boolean replies) {
            try {
                InputStream in = from.getInputStream();
                OutputStream out = to.getOutputStream();
                byte[] buffer = new byte[65_536];
                for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                    if (!replies) {
                        requests.accept(this, Arrays.copyOf(buffer, read));
                        Doom next = doom.get();
                        if (next != null
                                && new String(buffer, 0, read, StandardCharsets.ISO_8859_1).contains(next.text())
                                && doom.compareAndSet(next, null)) {
                            doomed = next;
                        }
                    }
                    if (!delay.isZero()) {
                        Thread.sleep(delay.toMillis());
                    }
                    Mode now = mode;
                    Doom end = doomed;
                    if (replies && end != null && end.how() == End.HALF) {
                        out.write(buffer, 0, read / 2);
                        to.close(); // a farewell: what was sent arrives
                        break;
                    }
                    if (replies && (now == Mode.CUT_ON_REPLY || (end != null && end.how() == End.CUT))) {
                        break;
                    }
                    boolean silent = forgotten || (replies && end != null);
                    if (!silent && (now == Mode.PASS || (!replies && now != Mode.SWALLOW))) {
                        out.write(buffer, 0, read);
                        out.flush();
                    }
                }
            } catch (IOException e) {
                // Cut, by us or by one of them.
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            cut();
        }

        void cut() {
            pairs.remove(this);
            reset(client);
            reset(server);
        }
    }

    @Override
    public void close() {
        try {
            listener.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        cut();
    }
}
