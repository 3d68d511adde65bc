package dev.curfew.examples;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class QuickstartTest {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    @Test
    void itHelps() {
        assertThat(run("--help")).isZero();
        assertThat(out.toString(UTF_8)).startsWith("Usage: quickstart");
        assertThat(err.size()).isZero();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "--store memory:"})
    void withoutAModeItTellsTheStory(String arguments) {
        assertThat(run(arguments.isEmpty() ? new String[0] : arguments.split(" ")))
                .isZero();
        assertThat(out.toString(UTF_8)).contains("Every answer was the expected one.");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "--what",
                "what",
                "--tokens",
                "--tokens --serve",
                "--store",
                "--serve 65536",
                "--serve -1",
                "--serve 0 --tokens some.txt",
                "--replica --serve 0"
            })
    void misuseIsExplained(String arguments) {
        assertThat(run(arguments.split(" "))).isEqualTo(2);
        assertThat(err.toString(UTF_8)).contains("Usage: quickstart");
        assertThat(out.size()).isZero();
    }

    @Test
    void theMemoryHasNoReplicaAndSaysWhy() {
        assertThat(run("--replica", "--store", "memory:")).isEqualTo(1);
        assertThat(err.toString(UTF_8))
                .contains("needs no local replica", "name a server by --store")
                .doesNotContain("\tat ");
    }

    @Test
    void anUnknownStoreIsNoStackTrace() {
        assertThat(run("--store", "nosuch://secret@localhost")).isEqualTo(1);
        assertThat(err.toString(UTF_8))
                .contains("No store on the class path claims the URL")
                .doesNotContain("secret", "\tat ");
    }

    /** Where every user of the machine can read it, and the shell keeps it. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "redis://:secret@localhost",
                "mongodb://user:secret@localhost/db",
                "jdbc:postgresql://localhost/db?user=me&password=secret",
                "jdbc:postgresql://localhost/db?sslpassword=secret",
            })
    void aPasswordIsNotTakenFromTheCommandLine(String url) {
        assertThat(run("--store", url)).isEqualTo(2);
        assertThat(err.toString(UTF_8)).contains("CURFEW_STORE_URL").doesNotContain("secret");
        assertThat(out.size()).isZero();
    }

    @Test
    void aFileThatIsNotThereIsNoStackTrace() {
        assertThat(run("--tokens", "no/such/file")).isEqualTo(1);
        assertThat(err.toString(UTF_8)).contains("no/such/file").doesNotContain("\tat ");
    }

    @Test
    void aPortThatIsTakenIsNoStackTrace() throws IOException {
        try (var taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            assertThat(run("--serve", String.valueOf(taken.getLocalPort()))).isEqualTo(1);
        }
        assertThat(err.toString(UTF_8)).startsWith("Cannot listen on port").doesNotContain("\tat ");
    }

    private int run(String... arguments) {
        return Quickstart.run(List.of(arguments), new PrintStream(out, true, UTF_8), new PrintStream(err, true, UTF_8));
    }
}
