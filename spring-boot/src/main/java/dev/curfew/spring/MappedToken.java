package dev.curfew.spring;

import dev.curfew.Token;

/**
 * A token as Curfew knows it, and its tenant. {@code toString} shows neither jti nor subject.
 *
 * @param token the token
 * @param tenant the tenant, "" by default
 */
public record MappedToken(Token token, String tenant) {}
