package dev.curfew.reliability;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.IThrowableProxy;
import ch.qos.logback.core.AppenderBase;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;

/**
 * Looks for secrets in all that is logged, by Curfew from DEBUG on and by everybody else from INFO on, and in the messages
 * of exceptions. All jtis, subjects, sessions and passwords here contain one word, so that one search finds them all.
 */
final class SecretWatch extends AppenderBase<ILoggingEvent> implements AutoCloseable {
    /** The word. */
    static final String MARK = "s3cr3t";

    private final Logger root = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
    private final LongAdder lines = new LongAdder();
    private final LongAdder told = new LongAdder();

    SecretWatch() {
        setContext(root.getLoggerContext());
        start();
        root.addAppender(this);
    }

    @Override
    protected void append(ILoggingEvent event) {
        lines.increment();
        look(event.getLoggerName(), event.getFormattedMessage());
        for (@Nullable IThrowableProxy t = event.getThrowableProxy(); t != null; t = t.getCause()) {
            look(event.getLoggerName(), t.getMessage());
        }
    }

    /** Looks at an exception and its causes. */
    void look(Throwable thrown) {
        for (@Nullable Throwable t = thrown; t != null; t = t.getCause()) {
            look(thrown.getClass().getName(), t.getMessage());
        }
    }

    private void look(String where, @Nullable String text) {
        if (text != null && text.contains(MARK)) {
            told.increment();
            System.err.println("A secret was told by " + where);
        }
    }

    long lines() {
        return lines.sum();
    }

    long told() {
        return told.sum();
    }

    @Override
    public void close() {
        root.detachAppender(this);
    }
}
