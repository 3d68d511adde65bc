package dev.curfew;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A revocation that this node performed and the store acknowledged. {@code toString} shows neither jti nor subject.
 *
 * @param action what revoked: {@link TokenAction#REVOKE_TOKEN}, {@link TokenAction#CONSUME}, …
 * @param domain the resource's domain
 * @param tenant the tenant, "" by default
 * @param jti the token, or {@code null} where all of a subject were revoked
 * @param subject the subject, or {@code null} where only the jti was given
 * @param count how many records were revoked; 0 for a watermark, which revokes without counting
 * @param revokedAt when, by the resource's clock
 */
public record RevocationEvent(
        TokenAction<?, ?> action,
        String domain,
        String tenant,
        @Nullable String jti,
        @Nullable String subject,
        long count,
        Instant revokedAt) {

    @Override
    public String toString() {
        return "RevocationEvent[action=" + action + ", domain=" + domain + ", count=" + count + ", revokedAt="
                + revokedAt + "]";
    }
}
