package dev.curfew.examples;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import dev.curfew.FailurePolicy;
import dev.curfew.InvalidTokenException;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.temporal.ChronoUnit;

/**
 * A table of what {@code peek} and {@code check} say of the JWTs in a file, one a line. It is for looking at one's own
 * tokens: it shows jti, subject and session, which Curfew itself never does.
 */
final class TokenTable {
    private static final String ROW = "%4s  %-24s  %-24s  %-24s  %-24s  %s%n";
    private static final int COLUMNS = 24;

    private final TokenResource tokens;
    private final PrintStream out;

    private TokenTable(TokenResource tokens, PrintStream out) {
        this.tokens = tokens;
        this.out = out;
    }

    /**
     * Prints the table.
     *
     * @param builder a builder that knows the store
     * @throws IOException if the file cannot be read
     */
    static void print(TokenResource.Builder builder, Path file, PrintStream out) throws IOException {
        // JWTs are ASCII. Read like this, any other byte makes one malformed token and not an unreadable file.
        try (BufferedReader lines = Files.newBufferedReader(file, ISO_8859_1);
                TokenResource tokens = builder.domain(Story.DOMAIN)
                        // Nothing is revoked here, so nothing has to be kept; no lifetime is worth a warning.
                        .maxTokenLifetime(ChronoUnit.FOREVER.getDuration())
                        // Who looks at tokens wants to hear of a failing store, and not that all are revoked.
                        .failurePolicy(FailurePolicy.THROW)
                        .build()) {
            new TokenTable(tokens, out).print(lines);
        }
    }

    private void print(BufferedReader lines) throws IOException {
        out.println("Signatures are not verified here.");
        out.printf(ROW, "line", "jti", "sub", "sid", "expires", "check");
        int number = 0;
        String line;
        while ((line = lines.readLine()) != null) {
            number++;
            try {
                Token token = Token.peek(line);
                out.printf(
                        ROW,
                        number,
                        SafeText.shortened(token.jti(), COLUMNS),
                        SafeText.shortened(token.subject(), COLUMNS),
                        token.session() == null ? "-" : SafeText.shortened(token.session(), COLUMNS),
                        token.expiresAt(),
                        tokens.check(token));
            } catch (InvalidTokenException e) {
                out.printf("%4d  %-24s  %s%n", number, "invalid: " + e.claim(), e.getMessage());
            }
        }
    }
}
