package dev.curfew.spring;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.RSASSASigner;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.interfaces.RSAPublicKey;
import java.time.Instant;
import java.util.Base64;
import java.util.Date;
import java.util.UUID;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;

/** Real JWTs, signed by a key of this JVM. */
final class Jwts {
    static final String ISSUER = "https://issuer.example";
    private static final RSAKey KEY = newKey();

    private Jwts() {}

    private static RSAKey newKey() {
        try {
            return new RSAKeyGenerator(2048).keyID("key").generate();
        } catch (JOSEException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Claims of an hour, issued now, with an id of its own. */
    static JWTClaimsSet.Builder claims(String subject) {
        Instant now = Instant.now();
        return new JWTClaimsSet.Builder()
                .issuer(ISSUER)
                .jwtID("jti-" + UUID.randomUUID())
                .subject(subject)
                .issueTime(Date.from(now))
                .expirationTime(Date.from(now.plusSeconds(3600)));
    }

    static String signed(JWTClaimsSet.Builder claims) {
        return signed(claims, null);
    }

    static String signed(JWTClaimsSet.Builder claims, String type) {
        var header = new JWSHeader.Builder(JWSAlgorithm.RS256);
        if (type != null) {
            header.type(new JOSEObjectType(type));
        }
        var jwt = new SignedJWT(header.build(), claims.build());
        try {
            jwt.sign(new RSASSASigner(KEY));
        } catch (JOSEException e) {
            throw new IllegalStateException(e);
        }
        return jwt.serialize();
    }

    static String of(String subject) {
        return signed(claims(subject));
    }

    static RSAKey key() {
        return KEY;
    }

    static RSAPublicKey publicKey() {
        try {
            return KEY.toRSAPublicKey();
        } catch (JOSEException e) {
            throw new IllegalStateException(e);
        }
    }

    static JwtDecoder decoder() {
        return NimbusJwtDecoder.withPublicKey(publicKey()).build();
    }

    /** The property that Boot makes a decoder of. */
    static String publicKeyProperty() {
        try {
            Path file = Files.createTempFile("public-key", ".pem");
            file.toFile().deleteOnExit();
            Files.writeString(
                    file,
                    "-----BEGIN PUBLIC KEY-----\n"
                            + Base64.getMimeEncoder().encodeToString(publicKey().getEncoded())
                            + "\n-----END PUBLIC KEY-----\n");
            return "spring.security.oauth2.resourceserver.jwt.public-key-location=" + file.toUri();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
