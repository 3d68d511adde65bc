package dev.curfew.spring;

import dev.curfew.PeekedJwt;
import dev.curfew.spring.CurfewProperties.MissingJti;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Reads the claims that the properties name. */
record ClaimsTokenMapper(CurfewProperties.Jwt settings) implements JwtTokenMapper {

    @Override
    public MappedToken map(String compact) {
        PeekedJwt jwt = PeekedJwt.read(
                compact, settings.jtiClaim(), settings.subjectClaim(), settings.missingJti() == MissingJti.DIGEST);
        return new MappedToken(jwt.token(), tenant(jwt.issuer()));
    }

    @Override
    public MappedToken mapOpaque(String token, Map<String, Object> attributes) {
        return new MappedToken(
                JwtTokenMapper.super.mapOpaque(token, attributes).token(), tenant(attributes.get("iss")));
    }

    /** Two issuers may give the same id to two tokens. */
    private String tenant(@Nullable Object issuer) {
        if (!settings.tenantByIssuer()) {
            return "";
        } else if (issuer == null) {
            throw new IllegalArgumentException("The token has no issuer, and curfew.jwt.tenant-by-issuer is set");
        }
        return issuer.toString();
    }
}
