package dev.curfew;

import java.util.Collections;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.Map;

/**
 * The fields of a record where a store keeps them under names: a table's columns, a document's fields. The default
 * names can be mapped, so that an existing table with {@code inserted_at} works (R11.3).
 */
public enum RecordField {
    /** {@code tenant}: the partition, "" by default. */
    TENANT("tenant"),
    /** {@code jti}. */
    JTI("jti"),
    /** {@code subject}: may be absent. */
    SUBJECT("subject"),
    /** {@code purpose}. */
    PURPOSE("purpose"),
    /** {@code issued_at}: may be absent. */
    ISSUED_AT("issued_at"),
    /** {@code expires_at}. */
    EXPIRES_AT("expires_at"),
    /** {@code extra_data}: may be absent. */
    EXTRA_DATA("extra_data"),
    /** {@code created_at}. */
    CREATED_AT("created_at"),
    /** {@code updated_at}. */
    UPDATED_AT("updated_at"),
    /** {@code revoked_at}: absent while not revoked. */
    REVOKED_AT("revoked_at"),
    /** {@code session}: may be absent. */
    SESSION("session"),
    /** {@code successor}: the jti of the token that replaced a rotated one; absent on all others. */
    SUCCESSOR("successor");

    private final String defaultName;

    RecordField(String defaultName) {
        this.defaultName = defaultName;
    }

    /** The name of the field where it is not mapped. */
    public String defaultName() {
        return defaultName;
    }

    /**
     * The names of all fields, some of them mapped to others; immutable.
     *
     * @throws IllegalArgumentException if a name is empty, has a NUL, or is given to two fields
     */
    public static Map<RecordField, String> names(Map<RecordField, String> mapped) {
        Limits.present("mapped", mapped);
        Map<RecordField, String> names = new EnumMap<>(RecordField.class);
        var taken = new HashSet<String>();
        for (RecordField field : values()) {
            String name = Limits.text("the name of " + field, mapped.getOrDefault(field, field.defaultName), 1, 128);
            if (!taken.add(name)) {
                throw new IllegalArgumentException(
                        "Two fields are named '" + name + "'; " + field + " is one of them: give it another name");
            }
            names.put(field, name);
        }
        return Collections.unmodifiableMap(names);
    }
}
