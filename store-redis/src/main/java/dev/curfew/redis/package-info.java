/**
 * The store in Redis and Valkey: {@link dev.curfew.redis.RedisTokenStore}.
 */
@NullMarked
package dev.curfew.redis;

import org.jspecify.annotations.NullMarked;
