package dev.curfew.tck;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.IThrowableProxy;
import ch.qos.logback.core.read.ListAppender;
import java.util.List;
import org.slf4j.LoggerFactory;

/** What Curfew logs while it is open. */
final class Logs implements AutoCloseable {
    private final Logger logger = (Logger) LoggerFactory.getLogger("dev.curfew");
    private final ListAppender<ILoggingEvent> appender = new ListAppender<>();

    Logs() {
        logger.setLevel(Level.TRACE);
        logger.setAdditive(false);
        appender.start();
        logger.addAppender(appender);
    }

    /** Each line as "WARN message", with the messages of a logged exception and its causes. */
    List<String> lines() {
        return List.copyOf(appender.list).stream()
                .map(event -> {
                    var line = new StringBuilder(event.getLevel() + " " + event.getFormattedMessage());
                    for (IThrowableProxy t = event.getThrowableProxy(); t != null; t = t.getCause()) {
                        line.append(' ').append(t.getMessage());
                    }
                    return line.toString();
                })
                .toList();
    }

    List<String> warnings() {
        return lines().stream().filter(line -> line.startsWith("WARN")).toList();
    }

    @Override
    public void close() {
        logger.detachAppender(appender);
        logger.setLevel(null);
        logger.setAdditive(true);
    }
}
