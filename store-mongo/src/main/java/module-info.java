/**
 * Curfew's store in MongoDB, over the synchronous driver.
 */
@SuppressWarnings({"requires-automatic", "requires-transitive-automatic"}) // the driver has no module descriptors
module dev.curfew.store.mongo {
    requires static org.jspecify;
    requires transitive dev.curfew.core;
    requires transitive org.mongodb.driver.sync.client;
    requires org.mongodb.driver.core;
    requires org.mongodb.bson;
    requires org.slf4j;

    exports dev.curfew.mongo;

    provides dev.curfew.TokenStoreProvider with
            dev.curfew.mongo.MongoTokenStoreProvider;
}
