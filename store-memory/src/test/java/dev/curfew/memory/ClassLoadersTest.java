package dev.curfew.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import java.io.File;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ForkJoinPool;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A store is found whatever class loader the calling thread has. */
class ClassLoadersTest {
    private static final String SERVICES = "META-INF/services/dev.curfew.TokenStoreProvider";

    private static <T> T with(ClassLoader context, Callable<T> call) throws Exception {
        Thread thread = Thread.currentThread();
        ClassLoader before = thread.getContextClassLoader();
        thread.setContextClassLoader(context);
        try {
            return call.call();
        } finally {
            thread.setContextClassLoader(before);
        }
    }

    private static boolean opens() {
        try (TokenResource tokens = TokenResource.open("memory:")) {
            return !tokens.isRevoked("t");
        }
    }

    @Test
    void itIsFoundWithoutAContextClassLoader() throws Exception {
        assertThat(with(null, ClassLoadersTest::opens)).isTrue();
    }

    @Test
    void itIsFoundByALoaderThatKnowsNoStore() throws Exception {
        assertThat(with(ClassLoader.getPlatformClassLoader(), ClassLoadersTest::opens))
                .isTrue();
    }

    @Test
    void itIsFoundInAThreadOfTheCommonPool() throws Exception {
        assertThat(ForkJoinPool.commonPool().submit(ClassLoadersTest::opens).get())
                .isTrue();
    }

    /** As in a servlet container: another application has its own copy of this library, and the thread its loader. */
    @Test
    void aProviderOfAnotherApplicationIsSkipped() throws Exception {
        List<URL> copy = new ArrayList<>();
        for (String path : System.getProperty("java.class.path").split(File.pathSeparator)) {
            copy.add(url(Path.of(path)));
        }
        try (var other = new URLClassLoader(copy.toArray(URL[]::new), ClassLoader.getPlatformClassLoader())) {
            assertThat(other.loadClass(TokenResource.class.getName())).isNotEqualTo(TokenResource.class);
            assertThat(with(other, ClassLoadersTest::opens)).isTrue();
        }
    }

    /** One that cannot be loaded hides no other, and is named where nothing else is found. */
    @Test
    void aProviderThatCannotBeLoadedIsNamedOnlyWhereItMayBeTheOneThatIsWanted(@TempDir Path folder) throws Exception {
        Path services = folder.resolve(SERVICES);
        Files.createDirectories(services.getParent());
        Files.writeString(services, "com.example.MissingProvider\n");
        try (var loader = new URLClassLoader(new URL[] {url(folder)}, getClass().getClassLoader())) {
            assertThat(with(loader, ClassLoadersTest::opens)).isTrue();
            assertThatThrownBy(() -> with(loader, () -> TokenResource.open("example://host")))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("com.example.MissingProvider")
                    .hasMessageContaining("of the same version");
        }
    }

    private static URL url(Path path) throws MalformedURLException {
        return path.toUri().toURL();
    }
}
