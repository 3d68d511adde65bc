package dev.curfew.benchmarks;

import com.mongodb.WriteConcern;
import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoCollection;
import com.mongodb.client.model.Filters;
import com.mongodb.client.model.FindOneAndUpdateOptions;
import com.mongodb.client.model.Projections;
import com.mongodb.client.model.ReturnDocument;
import com.mongodb.client.model.Updates;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.bson.BsonDateTime;
import org.bson.BsonDocument;
import org.bson.BsonInt64;
import org.bson.BsonNull;
import org.bson.BsonString;
import org.bson.conversions.Bson;

/** The bare commands on the MongoDB of {@link Servers}, on Curfew's own collection, with the same write concern. */
final class MongoLimit implements Target {
    static final String DATABASE = "curfew";

    private final MongoCollection<BsonDocument> records;
    private final BsonDateTime now = new BsonDateTime(Data.now().toEpochMilli());
    private final BsonDateTime end =
            new BsonDateTime(Data.now().plus(Data.LIFETIME).toEpochMilli());
    private final Bson isRevoked = Projections.include("revoked_at");

    MongoLimit(MongoClient client, int records) {
        this.records = client.getDatabase(DATABASE)
                .getCollection("curfew_" + Data.domain(records), BsonDocument.class)
                .withWriteConcern(WriteConcern.MAJORITY.withJournal(true));
    }

    private static Bson all(Bson... conditions) {
        var all = new BsonDocument();
        for (Bson condition : conditions) {
            all.putAll(condition.toBsonDocument());
        }
        return all;
    }

    private static Bson id(String jti) {
        return Filters.eq(new BsonString(":" + jti));
    }

    @Override
    public Object isRevoked(String jti) {
        BsonDocument found = records.find(id(jti)).projection(isRevoked).first();
        return found != null && found.isDateTime("revoked_at");
    }

    @Override
    public Object revoked(List<String> jtis) {
        List<BsonString> ids = new ArrayList<>();
        for (String jti : jtis) {
            ids.add(new BsonString(":" + jti));
        }
        Set<String> revoked = new HashSet<>();
        Bson filter = all(Filters.in("_id", ids), Filters.ne("revoked_at", null));
        for (BsonDocument found : records.find(filter).projection(isRevoked).batchSize(jtis.size() + 1)) {
            revoked.add(found.getString("_id").getValue().substring(1));
        }
        return revoked;
    }

    @Override
    public Object check(String jti, String subject) {
        Bson both = Filters.in("_id", new BsonString(":" + jti), new BsonString("@" + subject));
        return records.find(both).into(new ArrayList<>());
    }

    @Override
    public Object store(String jti) {
        return records.insertOne(document(jti, "user").append("revoked_at", BsonNull.VALUE));
    }

    @Override
    public Object revoke(String jti) {
        return records.insertOne(
                document(jti, "revocation").append("revoked_at", now).append("attempt", new BsonInt64(1)));
    }

    private BsonDocument document(String jti, String purpose) {
        return new BsonDocument("_id", new BsonString(":" + jti))
                .append("tenant", new BsonString(""))
                .append("subject", new BsonString(jti))
                .append("purpose", new BsonString(purpose))
                .append("issued_at", now)
                .append("expires_at", end)
                .append("created_at", now)
                .append("updated_at", now);
    }

    @Override
    public Object consume(String jti) {
        BsonDocument used = records.findOneAndUpdate(
                all(
                        id(jti),
                        Filters.eq("purpose", "user"),
                        Filters.eq("revoked_at", null),
                        Filters.gt("expires_at", now)),
                Updates.combine(Updates.set("revoked_at", now), Updates.set("updated_at", now)),
                new FindOneAndUpdateOptions().returnDocument(ReturnDocument.AFTER));
        if (used == null) {
            throw new IllegalStateException("A token that was just stored could not be used");
        }
        return used;
    }

    @Override
    public void close() {} // the client is everybody's
}
