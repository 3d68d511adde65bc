package dev.curfew;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DiscoveryTest {
    private static final Duration DEADLINE = Duration.ofSeconds(3);
    private static final TokenStore STORE = (TokenStore) Proxy.newProxyInstance(
            DiscoveryTest.class.getClassLoader(),
            new Class<?>[] {TokenStore.class},
            (proxy, method, arguments) -> null);

    private static final class Provider implements TokenStoreProvider {
        final String name;
        final Set<String> schemes;
        final List<String> opened = new ArrayList<>();
        String embedded;
        RuntimeException failure;

        Provider(String name, String... schemes) {
            this.name = name;
            this.schemes = Set.of(schemes);
        }

        @Override
        public String name() {
            return name;
        }

        @Override
        public Set<String> schemes() {
            return schemes;
        }

        @Override
        public TokenStore open(String url, Duration deadline) {
            assertThat(deadline).isEqualTo(DEADLINE);
            opened.add(url);
            if (failure != null) {
                throw failure;
            }
            return STORE;
        }

        @Override
        public Optional<String> embeddedUrl() {
            return Optional.ofNullable(embedded);
        }
    }

    private final Provider memory = new Provider("memory", "memory");
    private final Provider redis = new Provider("redis", "redis", "rediss");
    private final Provider jdbc = new Provider("jdbc", "jdbc:postgresql");
    private final Discovery discovery = new Discovery(List.of(memory, redis, jdbc));

    @ParameterizedTest
    @ValueSource(strings = {"redis://host:6379/0", "REDISS://user:p@host", "redis:x"})
    void theProviderThatClaimsTheSchemeOpensTheUrl(String url) {
        assertThat(discovery.openNamed(url, DEADLINE)).isSameAs(STORE);
        assertThat(redis.opened).containsExactly(url);
        assertThat(memory.opened).isEmpty();
    }

    @Test
    void aSchemeOfTwoPartsIsClaimedWhole() {
        discovery.openNamed("jdbc:postgresql://h/db", DEADLINE);
        assertThat(jdbc.opened).hasSize(1);
        assertThatThrownBy(() -> discovery.openNamed("jdbc:mysql://h/db", DEADLINE))
                .isInstanceOf(TokenStoreException.class);
    }

    @Test
    void anUnclaimedSchemeIsAnErrorThatSaysWhatToAdd() {
        assertThatThrownBy(
                        () -> discovery.openNamed("mongodb://user:secret@db.example.com/x?password=secret", DEADLINE))
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContaining("mongodb://db.example.com")
                .hasMessageContaining("Add dev.curfew:curfew-store-mongo")
                .hasMessageContaining("redis (" + Provider.class.getName())
                .hasMessageNotContaining("secret");
        assertThatThrownBy(() -> discovery.openNamed("etcd://h", DEADLINE)).hasMessageContaining("Known are");
        assertThatThrownBy(() -> new Discovery(List.of()).openNamed("redis://h", DEADLINE))
                .hasMessageContaining("There is no store on the class path");
        assertThatThrownBy(() -> discovery.openNamed("secret", DEADLINE))
                .isInstanceOf(TokenStoreException.class)
                .hasMessageNotContaining("secret");
    }

    @Test
    void twoProvidersOfOneSchemeAreAnErrorThatListsThem() {
        var other = new Provider("other", "redis");
        assertThatThrownBy(() -> new Discovery(List.of(redis, other)).openNamed("redis://h", DEADLINE))
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContaining("More than one store")
                .hasMessageContaining("redis (")
                .hasMessageContaining("other (")
                .hasMessageContaining("Leave one of them out");
        assertThat(redis.opened).isEmpty();
    }

    @Test
    void withoutAUrlTheOnlyEmbeddedStoreIsTaken() {
        assertThatThrownBy(() -> discovery.openEmbedded(DEADLINE))
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContaining("none on the class path works without a server")
                .hasMessageContaining("curfew.store.url")
                .hasMessageContaining("CURFEW_STORE_URL");
        memory.embedded = "memory:";
        assertThat(discovery.openEmbedded(DEADLINE)).isSameAs(STORE);
        assertThat(memory.opened).containsExactly("memory:");
        redis.embedded = "redis:embedded";
        assertThatThrownBy(() -> discovery.openEmbedded(DEADLINE)).hasMessageContaining("more than one");
    }

    @Test
    void thePropertyGoesBeforeTheVariable() {
        Map<String, String> property = Map.of("curfew.store.url", "redis://property");
        Map<String, String> variable = Map.of("CURFEW_STORE_URL", "redis://variable");
        assertThat(Discovery.configured(property::get, variable::get)).isEqualTo("redis://property");
        assertThat(Discovery.configured(Map.<String, String>of()::get, variable::get))
                .isEqualTo("redis://variable");
        assertThat(Discovery.configured(name -> " ", name -> "")).isNull();
    }

    @Test
    void R9_2_aProviderThatFailsIsNamedAndTheCredentialsAreNot() {
        String url = "redis://ada:hunter2@db.example.com:6379/0?password=hunter2";
        redis.failure = new IllegalStateException("cannot connect to " + url, new RuntimeException("refused"));
        assertThatThrownBy(() -> discovery.openNamed(url, DEADLINE))
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContaining("The redis store at redis://db.example.com could not be opened")
                .hasMessageContaining("IllegalStateException, caused by java.lang.RuntimeException")
                .hasMessageNotContaining("hunter2")
                .hasMessageNotContaining("ada")
                .hasNoCause();
        redis.failure = new TokenStoreException("The server answers NOAUTH: give a user and a password in the URL");
        assertThatThrownBy(() -> discovery.openNamed(url, DEADLINE))
                .hasMessageContaining("NOAUTH: give a user")
                .hasCause(redis.failure);
        redis.failure = new TokenStoreException("no password hunter2");
        assertThatThrownBy(() -> discovery.openNamed(url, DEADLINE))
                .hasMessageNotContaining("hunter2")
                .hasNoCause();
    }
}
