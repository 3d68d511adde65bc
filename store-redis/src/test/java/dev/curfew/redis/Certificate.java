package dev.curfew.redis;

import dev.curfew.servers.ServerFolder;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;

/** A certificate for localhost that signs itself. */
record Certificate(Path folder) {
    static final String PASSWORD = "not-a-secret";

    static Certificate create() {
        try {
            Path folder = ServerFolder.create();
            Path keytool = Path.of(System.getProperty("java.home"), "bin", "keytool");
            Process process = new ProcessBuilder(
                            keytool.toString(),
                            "-genkeypair",
                            "-alias",
                            "redis",
                            "-keyalg",
                            "RSA",
                            "-dname",
                            "CN=localhost",
                            "-ext",
                            "SAN=dns:localhost,ip:127.0.0.1",
                            "-storetype",
                            "PKCS12",
                            "-storepass",
                            PASSWORD,
                            "-keystore",
                            folder.resolve("redis.p12").toString())
                    .inheritIO()
                    .start();
            if (process.waitFor() != 0) {
                throw new IllegalStateException("keytool failed");
            }
            var certificate = new Certificate(folder);
            var keys = KeyStore.getInstance("PKCS12");
            try (InputStream in = Files.newInputStream(certificate.store().toPath())) {
                keys.load(in, PASSWORD.toCharArray());
            }
            write(
                    folder.resolve("redis.crt"),
                    "CERTIFICATE",
                    keys.getCertificate("redis").getEncoded());
            write(
                    folder.resolve("redis.key"),
                    "PRIVATE KEY",
                    keys.getKey("redis", PASSWORD.toCharArray()).getEncoded());
            return certificate;
        } catch (IOException | GeneralSecurityException e) {
            throw new IllegalStateException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    private static void write(Path file, String kind, byte[] content) throws IOException {
        Files.writeString(
                file,
                "-----BEGIN " + kind + "-----\n"
                        + Base64.getMimeEncoder().encodeToString(content)
                        + "\n-----END " + kind + "-----\n");
    }

    /** The key store, which is also the trust store. */
    File store() {
        return folder.resolve("redis.p12").toFile();
    }

    /** A server's settings with those for a second port, with TLS. */
    Map<String, String> settings(Map<String, String> others) {
        Map<String, String> settings = new LinkedHashMap<>(others);
        settings.put("tls-port", Integer.toString(ServerFolder.freePort()));
        settings.put("tls-cert-file", folder.resolve("redis.crt").toString());
        settings.put("tls-key-file", folder.resolve("redis.key").toString());
        settings.put("tls-ca-cert-file", folder.resolve("redis.crt").toString());
        settings.put("tls-auth-clients", "no");
        return settings;
    }
}
