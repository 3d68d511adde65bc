package dev.curfew.mongo;

import static com.mongodb.client.model.Filters.and;
import static com.mongodb.client.model.Filters.nor;
import static com.mongodb.client.model.Filters.type;

import dev.curfew.ExtraData;
import dev.curfew.RecordField;
import dev.curfew.StoreScope;
import dev.curfew.TokenRecord;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.bson.BsonDateTime;
import org.bson.BsonDocument;
import org.bson.BsonInvalidOperationException;
import org.bson.BsonNull;
import org.bson.BsonString;
import org.bson.BsonType;
import org.bson.BsonValue;
import org.bson.conversions.Bson;
import org.jspecify.annotations.Nullable;

/** Reads and writes documents, with the names that a store has for their fields. */
final class Documents {
    static final String ID = "_id";
    /** The field with the watermark, in a subject's document. */
    static final String WATERMARK = "watermark";
    /** The field with the time of the revocation, in a session's document. */
    static final String SESSION_REVOKED_AT = "session_revoked_at";
    /** The field with the mark of the call that revoked, so that a repetition recognises its call (R8.7). */
    static final String ATTEMPT = "attempt";

    private static final Set<String> TAKEN = Set.of(ID, WATERMARK, SESSION_REVOKED_AT, ATTEMPT);

    final String tenant;
    final String subject;
    final String purpose;
    final String issuedAt;
    final String expiresAt;
    final String extraData;
    final String createdAt;
    final String updatedAt;
    final String revokedAt;
    final String session;
    final String successor;

    /** The text of a file that belongs to the store. */
    static String file(String name) {
        try (InputStream file = Documents.class.getResourceAsStream("/META-INF/curfew/" + name)) {
            return new String(Objects.requireNonNull(file, name).readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    Documents(Map<RecordField, String> mapped) {
        Map<RecordField, String> names = RecordField.names(mapped);
        tenant = Objects.requireNonNull(names.get(RecordField.TENANT));
        subject = Objects.requireNonNull(names.get(RecordField.SUBJECT));
        purpose = Objects.requireNonNull(names.get(RecordField.PURPOSE));
        issuedAt = Objects.requireNonNull(names.get(RecordField.ISSUED_AT));
        expiresAt = Objects.requireNonNull(names.get(RecordField.EXPIRES_AT));
        extraData = Objects.requireNonNull(names.get(RecordField.EXTRA_DATA));
        createdAt = Objects.requireNonNull(names.get(RecordField.CREATED_AT));
        updatedAt = Objects.requireNonNull(names.get(RecordField.UPDATED_AT));
        revokedAt = Objects.requireNonNull(names.get(RecordField.REVOKED_AT));
        session = Objects.requireNonNull(names.get(RecordField.SESSION));
        successor = Objects.requireNonNull(names.get(RecordField.SUCCESSOR));
    }

    /** Checks that a field's name is no path and no operator of MongoDB, and no name that this store uses itself. */
    static String checked(RecordField field, String name) {
        if (field == RecordField.JTI) {
            throw new IllegalArgumentException("The jti has no field of its own in MongoDB: it is the end of _id");
        }
        if (name.indexOf('.') >= 0 || name.startsWith("$") || TAKEN.contains(name)) {
            throw new IllegalArgumentException("The name of " + field
                    + " must have no dot, must not begin with a $, and must not be one of " + TAKEN);
        }
        return name;
    }

    static BsonString recordId(StoreScope scope, String jti) {
        return new BsonString(escaped(scope.tenant()) + ':' + jti);
    }

    static BsonString watermarkId(StoreScope scope, String subject) {
        return new BsonString(escaped(scope.tenant()) + '@' + subject);
    }

    static BsonString sessionId(StoreScope scope, String session) {
        return new BsonString(escaped(scope.tenant()) + '#' + session);
    }

    /** The first :, @ or # of an {@code _id} ends the tenant: after : comes a jti, after @ a subject, after # a session. */
    private static String escaped(String tenant) {
        return tenant.replace("%", "%25")
                .replace(":", "%3A")
                .replace("@", "%40")
                .replace("#", "%23");
    }

    static BsonValue id(BsonDocument document) {
        return Objects.requireNonNull(document.get(ID));
    }

    private static String jti(BsonDocument document) {
        return name(document, ':');
    }

    /** The part of the {@code _id} behind the tenant, which ends with the separator. */
    static String name(BsonDocument document, char separator) {
        String id = document.getString(ID).getValue();
        return id.substring(id.indexOf(separator) + 1);
    }

    static BsonValue date(@Nullable Instant time) {
        return time == null ? BsonNull.VALUE : new BsonDateTime(time.toEpochMilli());
    }

    static BsonValue text(@Nullable String text) {
        return text == null ? BsonNull.VALUE : new BsonString(text);
    }

    /** @throws BsonInvalidOperationException if it is not a record's document */
    TokenRecord record(BsonDocument document) {
        String json = text(document, extraData);
        return new TokenRecord(
                jti(document),
                text(document, subject),
                document.getString(purpose).getValue(),
                time(document, issuedAt),
                instant(document.getDateTime(expiresAt)),
                json == null ? null : ExtraData.ofJson(json),
                instant(document.getDateTime(createdAt)),
                instant(document.getDateTime(updatedAt)),
                time(document, revokedAt),
                text(document, session),
                text(document, successor));
    }

    /** @throws BsonInvalidOperationException if it is not a record's document */
    boolean isRevoked(BsonDocument document) {
        document.getDateTime(expiresAt);
        return time(document, revokedAt) != null;
    }

    /** @throws BsonInvalidOperationException if it is not a subject's document */
    static Instant watermark(BsonDocument document) {
        return instant(document.getDateTime(WATERMARK));
    }

    /**
     * Whether the document says that a session is revoked, as every session's document does.
     *
     * @throws BsonInvalidOperationException if it is not a session's document
     */
    static boolean isSessionRevoked(BsonDocument document) {
        document.getDateTime(SESSION_REVOKED_AT);
        return true;
    }

    /** @param answer to a query for the server's time */
    static Instant serverTime(BsonDocument answer) {
        return instant(answer.getDateTime("now"));
    }

    /** A filter for documents that are neither a record, nor a subject's watermark, nor a revoked session. */
    Bson foreign() {
        return nor(
                and(type(expiresAt, BsonType.DATE_TIME), type(WATERMARK, BsonType.DATE_TIME)),
                and(type(expiresAt, BsonType.DATE_TIME), type(SESSION_REVOKED_AT, BsonType.DATE_TIME)),
                and(
                        type(expiresAt, BsonType.DATE_TIME),
                        type(purpose, BsonType.STRING),
                        type(createdAt, BsonType.DATE_TIME),
                        type(updatedAt, BsonType.DATE_TIME)));
    }

    private static @Nullable Instant time(BsonDocument document, String field) {
        return isNull(document, field) ? null : instant(document.getDateTime(field));
    }

    private static @Nullable String text(BsonDocument document, String field) {
        return isNull(document, field) ? null : document.getString(field).getValue();
    }

    private static boolean isNull(BsonDocument document, String field) {
        return document.get(field, BsonNull.VALUE).isNull();
    }

    private static Instant instant(BsonDateTime time) {
        return Instant.ofEpochMilli(time.getValue());
    }
}
