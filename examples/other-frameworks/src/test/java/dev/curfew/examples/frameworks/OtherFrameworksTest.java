package dev.curfew.examples.frameworks;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The snippets of docs/other-frameworks.md are compiled against the libraries, as they stand there. */
class OtherFrameworksTest {
    private static final Pattern SNIPPET = Pattern.compile("## (.+?)\n\n```java\n(.*?)```", Pattern.DOTALL);

    private static final Map<String, String> IMPORTS = Map.of(
            "Quarkus",
            """
            import io.quarkus.security.*;
            import io.quarkus.security.identity.*;
            import io.smallrye.mutiny.Uni;
            import jakarta.enterprise.context.ApplicationScoped;
            import jakarta.inject.Inject;
            import org.eclipse.microprofile.jwt.JsonWebToken;
            """,
            "Micronaut",
            """
            import io.micronaut.security.token.Claims;
            import io.micronaut.security.token.jwt.validator.*;
            import jakarta.inject.*;
            import java.util.Date;
            """,
            "Jakarta REST",
            """
            import jakarta.annotation.Priority;
            import jakarta.inject.Inject;
            import jakarta.ws.rs.Priorities;
            import jakarta.ws.rs.container.*;
            import jakarta.ws.rs.core.Response;
            import jakarta.ws.rs.ext.Provider;
            """,
            "Nimbus JOSE + JWT",
            """
            import com.nimbusds.jwt.*;
            import com.nimbusds.jwt.proc.*;
            """,
            "jose4j",
            """
            import org.jose4j.jwt.*;
            import org.jose4j.jwt.consumer.*;
            """,
            "java-jwt (Auth0)",
            """
            import com.auth0.jwt.*;
            import com.auth0.jwt.interfaces.*;
            import com.auth0.jwt.exceptions.*;
            """,
            "jjwt",
            "import io.jsonwebtoken.*;\n");

    /** What the lines around a snippet that is no class have. */
    private static final Map<String, String> PARAMETERS = Map.of(
            "Nimbus JOSE + JWT",
            "ConfigurableJWTProcessor<com.nimbusds.jose.proc.SecurityContext> processor",
            "jose4j",
            "java.security.Key key",
            "java-jwt (Auth0)",
            "com.auth0.jwt.algorithms.Algorithm algorithm",
            "jjwt",
            "javax.crypto.SecretKey key");

    @TempDir
    private Path folder;

    private static Matcher snippets() throws IOException {
        return SNIPPET.matcher(Files.readString(Path.of("../../docs/other-frameworks.md")));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"Quarkus", "Micronaut", "Jakarta REST", "Nimbus JOSE + JWT", "jose4j", "java-jwt (Auth0)", "jjwt"
            })
    void theSnippetCompiles(String framework) throws IOException {
        Matcher snippet = snippets();
        String code = null;
        while (snippet.find()) {
            code = snippet.group(1).equals(framework) ? snippet.group(2) : code;
        }
        assertThat(code).isNotNull();
        String parameters = PARAMETERS.get(framework);
        String source = "import dev.curfew.*;\nimport java.time.Instant;\n" + IMPORTS.get(framework)
                + (parameters == null
                        ? code
                        : "class Revocation {\n  void verify(TokenResource tokens, String text, " + parameters
                                + ") throws Exception {\n" + code + "  }\n}\n");
        Path file = Files.writeString(folder.resolve("Revocation.java"), source);
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        var diagnostics = new StringWriter();
        assertThat(compiler.getTask(
                                diagnostics,
                                null,
                                null,
                                List.of(
                                        "-proc:none",
                                        "-d",
                                        folder.toString(),
                                        "-cp",
                                        System.getProperty("java.class.path")),
                                null,
                                compiler.getStandardFileManager(null, null, null)
                                        .getJavaFileObjects(file))
                        .call())
                .as("%s%n%s", diagnostics, source)
                .isTrue();
    }

    @Test
    void everyJavaSnippetIsTried() throws IOException {
        assertThat(snippets().results().map(each -> each.group(1)))
                .containsExactlyInAnyOrderElementsOf(IMPORTS.keySet());
    }
}
