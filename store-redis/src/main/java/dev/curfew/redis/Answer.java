package dev.curfew.redis;

import static io.lettuce.core.codec.StringCodec.UTF8;

import io.lettuce.core.output.CommandOutput;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** An answer of a server, of any type, as a list of texts. An array within an array is a part of this list. */
final class Answer extends CommandOutput<String, String, Answer> {
    private final List<@Nullable String> texts = new ArrayList<>();

    Answer() {
        super(UTF8, null);
    }

    @Override
    public Answer get() {
        return this;
    }

    @Override
    public void set(@Nullable ByteBuffer text) {
        texts.add(text == null ? null : UTF8.decodeValue(text));
    }

    @Override
    public void set(long number) {
        texts.add(Long.toString(number));
    }

    @Override
    public void set(double number) {
        texts.add(Double.toString(number));
    }

    int size() {
        return texts.size();
    }

    /** The text at a place, or {@code null} if the server has answered nothing there. */
    @Nullable
    String text(int place) {
        return texts.get(place);
    }

    /** The first text: a number, or the word by which a script says what it has done. */
    String first() {
        return String.valueOf(text(0));
    }

    /** The fields of a hash, if their names and values stand in turn from a place on. */
    Map<String, @Nullable String> fields(int from) {
        Map<String, @Nullable String> fields = new HashMap<>();
        for (int i = from; i < size(); i += 2) {
            fields.put(String.valueOf(text(i)), text(i + 1));
        }
        return fields;
    }
}
