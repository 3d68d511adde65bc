package dev.curfew;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import java.io.IOException;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.AbstractMap;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A record's extra data: an immutable map that carries its JSON text, and reads the text when a value is first asked for.
 *
 * <p>In the map are strings, booleans, {@code null}, lists, maps with string keys, and numbers: whole ones are
 * {@code Integer}, or {@code Long} where they need it, and all others {@code Double}. {@code toString} shows none of it.
 */
public final class ExtraData extends AbstractMap<String, @Nullable Object> {
    private static final JsonFactory JSON = JsonFactory.builder()
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            // A name may be as long as all of the text.
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNameLength(Limits.EXTRA_DATA_BYTES)
                    .build())
            .build();

    private final String json;
    private final boolean isChecked;
    private volatile @Nullable Map<String, @Nullable Object> parsed;

    private ExtraData(String json, boolean isChecked) {
        this.json = json;
        this.isChecked = isChecked;
    }

    /**
     * Writes extra data as JSON.
     *
     * @throws IllegalArgumentException if something in the map is not of JSON's types, or the text is longer than 64 KiB
     */
    public static ExtraData of(Map<?, ?> extraData) {
        if (Limits.present("extraData", extraData) instanceof ExtraData given) {
            return given.isChecked ? given : of(parse(given.json));
        }
        return new ExtraData(Limits.extraData(write(extraData)), true);
    }

    /**
     * The extra data of a JSON text, for stores. The text is not read here: one record with a text that Curfew has not
     * written must not keep others from being listed (R2.7).
     */
    public static ExtraData ofJson(String json) {
        return new ExtraData(Limits.present("json", json), false);
    }

    /**
     * The JSON text. Doubles are written out with a decimal point ({@code 10000000000.0}), so that a database that
     * normalises numbers, as PostgreSQL's {@code jsonb}, does not make whole numbers of them.
     */
    public String json() {
        return json;
    }

    /**
     * The values.
     *
     * @throws TokenStoreException if Curfew has not written the JSON text, and cannot read it
     */
    @Override
    public Set<Entry<String, @Nullable Object>> entrySet() {
        return parsed().entrySet();
    }

    @Override
    public @Nullable Object get(@Nullable Object key) {
        return parsed().get(key);
    }

    @Override
    public boolean containsKey(@Nullable Object key) {
        return parsed().containsKey(key);
    }

    @Override
    public String toString() {
        return "ExtraData[" + json.length() + " characters]";
    }

    private Map<String, @Nullable Object> parsed() {
        Map<String, @Nullable Object> read = parsed;
        if (read == null) {
            try {
                read = parse(json);
            } catch (IllegalArgumentException e) {
                throw new TokenStoreException(
                        TokenStoreException.Outcome.UNCHANGED,
                        "The store has a record whose extra data Curfew has not written: " + e.getMessage()
                                + ". Correct the record in the store",
                        null);
            }
            parsed = read;
        }
        return read;
    }

    /** @throws IllegalArgumentException if {@link #write} could not have written the text; the message does not quote it */
    private static Map<String, @Nullable Object> parse(String json) {
        try (JsonParser parser = JSON.createParser(json)) {
            if (parser.nextToken() == JsonToken.START_OBJECT) {
                Map<String, @Nullable Object> values = readObject(parser, 1);
                if (parser.nextToken() == null) {
                    return values;
                }
            }
        } catch (IOException e) {
            // The parser's message would quote the data.
        }
        throw new IllegalArgumentException("extraData is not a JSON object with numbers of at most 64 bits");
    }

    private static Map<String, @Nullable Object> readObject(JsonParser json, int depth) throws IOException {
        Map<String, @Nullable Object> values = new LinkedHashMap<>();
        String name;
        while ((name = json.nextFieldName()) != null) {
            json.nextToken();
            values.put(text(name), readValue(json, depth + 1));
        }
        return Collections.unmodifiableMap(values);
    }

    private static List<@Nullable Object> readArray(JsonParser json, int depth) throws IOException {
        List<@Nullable Object> elements = new ArrayList<>();
        while (json.nextToken() != JsonToken.END_ARRAY) {
            elements.add(readValue(json, depth + 1));
        }
        return Collections.unmodifiableList(elements);
    }

    private static @Nullable Object readValue(JsonParser json, int depth) throws IOException {
        requireDepth(depth);
        return switch (json.currentToken()) {
            case START_OBJECT -> readObject(json, depth);
            case START_ARRAY -> readArray(json, depth);
            case VALUE_STRING -> text(json.getText());
            case VALUE_NUMBER_FLOAT -> requireFinite(json.getDoubleValue());
            case VALUE_NUMBER_INT -> readWholeNumber(json.getLongValue());
            case VALUE_TRUE -> true;
            case VALUE_FALSE -> false;
            default -> null;
        };
    }

    private static Number readWholeNumber(long number) {
        // Not a conditional expression: that would make a Long of the Integer.
        if (number == (int) number) {
            return (int) number;
        }
        return number;
    }

    private static String write(Map<?, ?> values) {
        var text = new StringWriter();
        try (JsonGenerator json = JSON.createGenerator(text)) {
            write(json, values, 1);
        } catch (IOException e) {
            throw new IllegalArgumentException("extraData cannot be written as JSON", e);
        }
        return text.toString();
    }

    private static void write(JsonGenerator json, @Nullable Object value, int depth) throws IOException {
        requireDepth(depth);
        if (value == null) {
            json.writeNull();
        } else if (value instanceof String string) {
            json.writeString(text(string));
        } else if (value instanceof Boolean bool) {
            json.writeBoolean(bool);
        } else if (value instanceof Number number) {
            write(json, number);
        } else if (value instanceof Map<?, ?> map) {
            json.writeStartObject();
            for (Map.Entry<?, ?> entry : map.entrySet()) {
                if (!(entry.getKey() instanceof String name)) {
                    throw new IllegalArgumentException("extraData must have strings as keys");
                }
                json.writeFieldName(text(name));
                write(json, entry.getValue(), depth + 1);
            }
            json.writeEndObject();
        } else if (value instanceof Iterable<?> elements) {
            json.writeStartArray();
            for (Object element : elements) {
                write(json, element, depth + 1);
            }
            json.writeEndArray();
        } else {
            throw new IllegalArgumentException("extraData must be made of JSON's types, not of "
                    + value.getClass().getName());
        }
    }

    private static void requireDepth(int depth) {
        if (depth > Limits.EXTRA_DATA_DEPTH) {
            throw new IllegalArgumentException(
                    "extraData must be nested at most " + Limits.EXTRA_DATA_DEPTH + " levels deep");
        }
    }

    /** Adding zero makes zero of negative zero, which databases do not keep. */
    private static double requireFinite(double value) {
        if (!Double.isFinite(value)) {
            throw new IllegalArgumentException("extraData must not contain NaN or an infinity");
        }
        return value + 0.0;
    }

    private static String text(String string) {
        return Limits.text("extraData", string, 0, Limits.EXTRA_DATA_BYTES);
    }

    private static void write(JsonGenerator json, Number number) throws IOException {
        if (number instanceof Double || number instanceof Float) {
            String plain =
                    BigDecimal.valueOf(requireFinite(number.doubleValue())).toPlainString();
            json.writeNumber(plain.indexOf('.') < 0 ? plain + ".0" : plain);
        } else if (number instanceof Byte
                || number instanceof Short
                || number instanceof Integer
                || number instanceof Long
                || (number instanceof BigInteger big && big.bitLength() < Long.SIZE)) {
            json.writeNumber(number.longValue());
        } else {
            throw new IllegalArgumentException(
                    "extraData must not contain numbers beyond 64 bits or doubles, such as a "
                            + number.getClass().getSimpleName() + "; write them as strings");
        }
    }
}
