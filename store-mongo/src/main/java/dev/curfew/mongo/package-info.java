/**
 * The store in MongoDB: {@link dev.curfew.mongo.MongoTokenStore}.
 */
@NullMarked
package dev.curfew.mongo;

import org.jspecify.annotations.NullMarked;
