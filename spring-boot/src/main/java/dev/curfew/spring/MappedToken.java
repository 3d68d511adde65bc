package dev.curfew.spring;

import dev.curfew.Token;
import dev.curfew.TokenResource;

/**
 * A token as Curfew knows it, and its tenant. {@code toString} shows neither jti nor subject.
 *
 * @param token the token
 * @param tenant the tenant, "" by default
 */
public record MappedToken(Token token, String tenant) {

    /** The resource for the tenant of this token. */
    TokenResource of(TokenResource tokens) {
        return tenant.isEmpty() ? tokens : tokens.forTenant(tenant);
    }
}
