package dev.curfew;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A revocation that this node performed and the store acknowledged. {@code toString} shows neither jti, subject nor session.
 *
 * @param action what revoked: {@link TokenAction#REVOKE_TOKEN}, {@link TokenAction#CONSUME}, …
 * @param domain the resource's domain
 * @param tenant the tenant, "" by default
 * @param jti the token, or {@code null} where those of a subject or a session were revoked
 * @param subject the subject, or {@code null} where only the jti or the session was given
 * @param session the session that was revoked, or the token's session; {@code null} where that is not known
 * @param count how many records were revoked; 0 for a watermark or a session, which revoke without counting
 * @param revokedAt when, by the resource's clock
 */
public record RevocationEvent(
        TokenAction<?, ?> action,
        String domain,
        String tenant,
        @Nullable String jti,
        @Nullable String subject,
        @Nullable String session,
        long count,
        Instant revokedAt) {

    @Override
    public String toString() {
        return "RevocationEvent[action=" + action + ", domain=" + domain + ", count=" + count + ", revokedAt="
                + revokedAt + "]";
    }
}
