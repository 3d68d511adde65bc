package dev.curfew.reliability;

import dev.curfew.TokenStoreException;
import dev.curfew.reliability.Operation.Answer;
import dev.curfew.reliability.Operation.Kind;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Supplier;

/** All that was asked and answered, written down by those who ask; {@link HistoryChecker} reads it. */
final class History {
    private final Queue<Operation> operations = new ConcurrentLinkedQueue<>();
    private final SecretWatch watch;

    /** @param watch looks at the messages of exceptions */
    History(SecretWatch watch) {
        this.watch = watch;
    }

    /** Performs a call, writes it down, and answers how it ended. */
    @SuppressWarnings("CatchAndPrintStackTrace") // for whoever looks into what was wrong
    Answer call(Kind kind, long token, Supplier<Object> call) {
        long start = System.nanoTime();
        Answer answer;
        try {
            answer = Answer.of(call.get());
        } catch (TokenStoreException e) {
            watch.look(e);
            answer = e.outcome() == TokenStoreException.Outcome.UNCHANGED ? Answer.FAILED : Answer.UNKNOWN;
        } catch (RuntimeException | Error e) {
            watch.look(e);
            e.printStackTrace();
            answer = Answer.WRONG;
        }
        operations.add(new Operation(kind, token, answer, start, System.nanoTime()));
        return answer;
    }

    /** Writes down a fault that has just ended. */
    void fault(Kind kind, long start) {
        operations.add(new Operation(kind, 0, Answer.DONE, start, System.nanoTime()));
    }

    List<Operation> operations() {
        return List.copyOf(operations);
    }
}
