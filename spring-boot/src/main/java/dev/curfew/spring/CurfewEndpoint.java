package dev.curfew.spring;

import dev.curfew.ExpungeReport;
import dev.curfew.ReplicaStatus;
import dev.curfew.TokenResource;
import java.util.Map;
import org.springframework.boot.actuate.endpoint.InvalidEndpointRequestException;
import org.springframework.boot.actuate.endpoint.annotation.Endpoint;
import org.springframework.boot.actuate.endpoint.annotation.ReadOperation;
import org.springframework.boot.actuate.endpoint.annotation.WriteOperation;
import org.springframework.lang.Nullable;

/** The actuator endpoint {@code curfew}: how the token resource does, and revoking by hand. */
@Endpoint(id = "curfew")
record CurfewEndpoint(TokenResource tokens, CurfewProperties properties) {

    /** The domain, the failures of the store, the last clean-up of this process, and its local replica. */
    record Status(
            String domain,
            long storeFailures,
            @Nullable ExpungeReport lastExpunge,
            @Nullable ReplicaStatus replica) {}

    @ReadOperation
    Status status() {
        return new Status(
                properties.domain(),
                tokens.storeFailures(),
                tokens.lastExpunge().orElse(null),
                tokens.replicaStatus().orElse(null));
    }

    /**
     * Revokes a jti, or all tokens of a subject. Both belong into the body of the request, since an access log has its
     * parameters.
     */
    @WriteOperation
    Map<String, Object> revoke(@Nullable String jti, @Nullable String subject, @Nullable String tenant) {
        TokenResource resource = tenant == null ? tokens : tokens.forTenant(tenant);
        try {
            if (jti != null && subject == null) {
                return Map.of("outcome", resource.revokeJti(jti).name());
            } else if (subject != null && jti == null) {
                return Map.of("watermark", resource.revokeSubject(subject).toString());
            }
        } catch (IllegalArgumentException e) {
            throw new InvalidEndpointRequestException(String.valueOf(e.getMessage()), "limits");
        }
        throw new InvalidEndpointRequestException("Name a jti or a subject, and not both", "jti or subject");
    }
}
