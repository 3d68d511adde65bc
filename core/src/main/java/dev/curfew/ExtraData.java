package dev.curfew;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.jr.ob.JSON;
import java.io.IOException;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A record's extra data as JSON text and back, for stores that keep text.
 *
 * <p>In it are strings, booleans, {@code null}, lists, maps with string keys, and numbers: whole ones are
 * {@code Integer}, or {@code Long} where they need it, and all others {@code Double}. Everything is immutable.
 */
public final class ExtraData {
    private static final Logger LOG = LoggerFactory.getLogger(ExtraData.class);
    private static final JsonFactory WRITER = new JsonFactory();
    // The domains of which the log has said that somebody else writes to them.
    private static final Set<String> REPORTED = ConcurrentHashMap.newKeySet();

    private ExtraData() {}

    /**
     * The JSON text of extra data. Doubles are written out with a decimal point ({@code 10000000000.0}), so that a
     * database that normalises numbers, as PostgreSQL's {@code jsonb}, does not make whole numbers of them.
     */
    public static String write(Map<String, @Nullable Object> extraData) {
        Limits.present("extraData", extraData);
        var text = new StringWriter();
        try (JsonGenerator json = WRITER.createGenerator(text)) {
            write(json, extraData);
        } catch (IOException e) {
            throw new IllegalArgumentException("extraData cannot be written as JSON", e);
        }
        return text.toString();
    }

    /**
     * The extra data of a JSON text.
     *
     * @throws IllegalArgumentException if it is not a JSON object that {@link #write} could have written
     */
    public static Map<String, @Nullable Object> read(String json) {
        Limits.present("json", json);
        try {
            if (JSON.std.anyFrom(json) instanceof Map<?, ?> map) {
                return freeze(map);
            }
        } catch (IOException e) {
            // The parser's message would quote the data: what is said below must do.
        }
        throw new IllegalArgumentException("extraData is not a JSON object");
    }

    /**
     * The extra data of a record on a page, or {@code null} where {@link #read} refuses the text. Then somebody else has
     * written it, and the other records of the page must not suffer (R2.7). The log says so once for each domain.
     */
    public static @Nullable Map<String, @Nullable Object> readOrReport(String domain, String json) {
        Limits.present("domain", domain);
        Limits.present("json", json);
        try {
            return read(json);
        } catch (IllegalArgumentException e) {
            if (REPORTED.add(domain)) {
                LOG.warn(
                        "Domain '{}' has a record whose extra data Curfew has not written: {}. It is listed without them;"
                                + " to get or to consume it fails. Correct it where it is stored.",
                        domain,
                        e.getMessage());
            }
            return null;
        }
    }

    /** What an application passes in, checked (R9.1), copied and immutable. */
    static Map<String, @Nullable Object> of(Map<?, ?> extraData) {
        Map<String, @Nullable Object> frozen = freeze(extraData);
        Limits.extraData(write(frozen));
        return frozen;
    }

    private static Map<String, @Nullable Object> freeze(Map<?, ?> map) {
        return freeze(map, 1);
    }

    private static Map<String, @Nullable Object> freeze(Map<?, ?> map, int depth) {
        Map<String, @Nullable Object> copy = new LinkedHashMap<>();
        map.forEach((key, value) -> {
            if (!(key instanceof String name)) {
                throw new IllegalArgumentException("extraData must have strings as keys");
            }
            copy.put(text(name), freeze(value, depth + 1));
        });
        return Collections.unmodifiableMap(copy);
    }

    private static @Nullable Object freeze(@Nullable Object value, int depth) {
        if (depth > Limits.EXTRA_DATA_DEPTH) {
            throw new IllegalArgumentException(
                    "extraData must be nested at most " + Limits.EXTRA_DATA_DEPTH + " levels deep");
        }
        if (value == null || value instanceof Boolean) {
            return value;
        } else if (value instanceof String string) {
            return text(string);
        } else if (value instanceof Number number) {
            return number(number);
        } else if (value instanceof Map<?, ?> map) {
            return freeze(map, depth);
        } else if (value instanceof Iterable<?> elements) {
            List<@Nullable Object> copy = new ArrayList<>();
            elements.forEach(element -> copy.add(freeze(element, depth + 1)));
            return Collections.unmodifiableList(copy);
        }
        throw new IllegalArgumentException("extraData must be made of JSON's types, not of "
                + value.getClass().getName());
    }

    private static String text(String string) {
        return Limits.text("extraData", string, 0, Limits.EXTRA_DATA_BYTES);
    }

    private static Number number(Number number) {
        if (number instanceof Double || number instanceof Float) {
            double value = number.doubleValue();
            if (!Double.isFinite(value)) {
                throw new IllegalArgumentException("extraData must not contain NaN or an infinity");
            }
            return value == 0 ? 0.0 : value; // no negative zero: databases do not keep it
        }
        if (number instanceof Byte
                || number instanceof Short
                || number instanceof Integer
                || number instanceof Long
                || (number instanceof BigInteger big && big.bitLength() < Long.SIZE)) {
            long value = number.longValue();
            // Not a conditional expression: it would make a Long of the Integer.
            if (value == (int) value) {
                return (int) value;
            }
            return value;
        }
        throw new IllegalArgumentException("extraData must not contain numbers beyond 64 bits or doubles, such as a "
                + number.getClass().getSimpleName() + "; write them as strings");
    }

    private static void write(JsonGenerator json, @Nullable Object value) throws IOException {
        if (value instanceof Map<?, ?> map) {
            json.writeStartObject();
            for (Map.Entry<?, ?> entry : map.entrySet()) {
                json.writeFieldName((String) entry.getKey());
                write(json, entry.getValue());
            }
            json.writeEndObject();
        } else if (value instanceof List<?> list) {
            json.writeStartArray();
            for (Object element : list) {
                write(json, element);
            }
            json.writeEndArray();
        } else if (value instanceof Double number) {
            String plain = new BigDecimal(number.toString()).toPlainString();
            json.writeNumber(plain.indexOf('.') < 0 ? plain + ".0" : plain);
        } else if (value instanceof Number number) {
            json.writeNumber(number.longValue());
        } else if (value instanceof Boolean bool) {
            json.writeBoolean(bool);
        } else if (value instanceof String string) {
            json.writeString(string);
        } else {
            json.writeNull();
        }
    }
}
