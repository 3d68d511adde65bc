package dev.curfew.mongo;

import com.mongodb.event.CommandListener;
import com.mongodb.event.CommandStartedEvent;
import java.util.ArrayList;
import java.util.List;
import org.bson.BsonDocument;

/** What a client sends. */
final class Commands implements CommandListener {
    private final List<BsonDocument> sent = new ArrayList<>();

    @Override
    public synchronized void commandStarted(CommandStartedEvent event) {
        // What is shown lives in a buffer that the driver takes back.
        sent.add(BsonDocument.parse(event.getCommand().toJson()));
    }

    /** What was sent meanwhile. */
    synchronized List<BsonDocument> of(Runnable action) {
        sent.clear();
        action.run();
        return List.copyOf(sent);
    }

    /** Their names. */
    List<String> namesOf(Runnable action) {
        return of(action).stream().map(BsonDocument::getFirstKey).toList();
    }
}
