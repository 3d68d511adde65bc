package dev.curfew.spring;

import dev.curfew.PeekedJwt;
import dev.curfew.spring.CurfewProperties.MissingJti;
import java.util.Map;

/** Reads the claims that the properties name. */
record ClaimsTokenMapper(CurfewProperties.Jwt settings) implements JwtTokenMapper {

    @Override
    public MappedToken map(String compact) {
        PeekedJwt jwt = PeekedJwt.read(
                compact, settings.jtiClaim(), settings.subjectClaim(), settings.missingJti() == MissingJti.DIGEST);
        return new MappedToken(jwt.token(), settings.tenant(jwt.issuer()));
    }

    @Override
    public MappedToken mapOpaque(String token, Map<String, Object> attributes) {
        return new MappedToken(
                JwtTokenMapper.super.mapOpaque(token, attributes).token(), settings.tenant(attributes.get("iss")));
    }
}
