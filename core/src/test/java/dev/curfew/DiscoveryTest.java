package dev.curfew;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceConfigurationError;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DiscoveryTest {
    private static final StoreScope SCOPE = new StoreScope("d", "", Duration.ZERO, Duration.ofSeconds(3));
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
        TokenStore store = STORE;

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
        public TokenStore open(String url, Duration callDeadline, Duration openDeadline) {
            assertThat(callDeadline).isEqualTo(SCOPE.deadline());
            opened.add(url);
            if (failure != null) {
                throw failure;
            }
            return store;
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
        assertThat(discovery.openNamed(url, SCOPE.deadline(), SCOPE)).isSameAs(STORE);
        assertThat(redis.opened).containsExactly(url);
        assertThat(memory.opened).isEmpty();
    }

    @Test
    void aSchemeOfTwoPartsIsClaimedWhole() {
        discovery.openNamed("jdbc:postgresql://h/db", SCOPE.deadline(), SCOPE);
        assertThat(jdbc.opened).hasSize(1);
        assertThatThrownBy(() -> discovery.openNamed("jdbc:mysql://h/db", SCOPE.deadline(), SCOPE))
                .isInstanceOf(TokenStoreException.class);
    }

    @Test
    void anUnclaimedSchemeIsAnErrorThatSaysWhatToAdd() {
        assertThatThrownBy(() -> discovery.openNamed(
                        "mongodb://user:secret@db.example.com/x?password=secret", SCOPE.deadline(), SCOPE))
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContaining("mongodb://db.example.com")
                .hasMessageContaining("Add the store of this URL's scheme")
                .hasMessageContaining("redis (" + Provider.class.getName())
                .hasMessageNotContaining("secret");
        assertThatThrownBy(() -> new Discovery(List.of()).openNamed("redis://h", SCOPE.deadline(), SCOPE))
                .hasMessageContaining("There is no store on the class path");
        assertThatThrownBy(() -> discovery.openNamed("secret", SCOPE.deadline(), SCOPE))
                .isInstanceOf(TokenStoreException.class)
                .hasMessageNotContaining("secret");
    }

    @Test
    void twoProvidersOfOneSchemeAreAnErrorThatListsThem() {
        var other = new Provider("other", "redis");
        assertThatThrownBy(() -> new Discovery(List.of(redis, other)).openNamed("redis://h", SCOPE.deadline(), SCOPE))
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContaining("More than one store")
                .hasMessageContaining("redis (")
                .hasMessageContaining("other (")
                .hasMessageContaining("Leave one of them out");
        assertThat(redis.opened).isEmpty();
    }

    @Test
    void R11_4_withoutAUrlAStoreWithoutAServerIsTakenWhereItIsAlone() {
        assertThatThrownBy(() -> discovery.openEmbedded(SCOPE.deadline(), SCOPE))
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContaining("none on the class path works without a server")
                .hasMessageContaining("curfew.store.url")
                .hasMessageContaining("CURFEW_STORE_URL");
        memory.embedded = "memory:";
        // The URL of the server has been lost, most likely.
        assertThatThrownBy(() -> discovery.openEmbedded(SCOPE.deadline(), SCOPE))
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContaining("one on the class path needs a server")
                .hasMessageContaining("CURFEW_STORE_URL");
        assertThat(memory.opened).isEmpty();
        redis.embedded = "redis:embedded";
        assertThatThrownBy(() -> new Discovery(List.of(memory, redis)).openEmbedded(SCOPE.deadline(), SCOPE))
                .hasMessageContaining("more than one");
        // So it is where the server's store is there, and cannot be loaded.
        var unloadable = new ServiceConfigurationError("redis: its driver is missing");
        assertThatThrownBy(
                        () -> new Discovery(List.of(memory), List.of(unloadable)).openEmbedded(SCOPE.deadline(), SCOPE))
                .hasMessageContainingAll("needs a server", "its driver is missing");
        assertThat(memory.opened).isEmpty();
        assertThat(new Discovery(List.of(memory)).openEmbedded(SCOPE.deadline(), SCOPE))
                .isSameAs(STORE);
        assertThat(memory.opened).containsExactly("memory:");
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
        assertThatThrownBy(() -> discovery.openNamed(url, SCOPE.deadline(), SCOPE))
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContaining("The redis store at redis://db.example.com could not be opened")
                .hasMessageContaining("IllegalStateException, caused by java.lang.RuntimeException")
                .hasMessageNotContaining("hunter2")
                .hasMessageNotContaining("ada")
                .hasNoCause();
        redis.failure = new IllegalStateException("login failed with hunter 2");
        assertThatThrownBy(() -> discovery.openNamed(url.replace("hunter2", "hunter%202"), SCOPE.deadline(), SCOPE))
                .hasNoCause();
        redis.failure = new IllegalStateException("no connection");
        redis.failure.addSuppressed(new IllegalStateException("tried " + url));
        assertThatThrownBy(() -> discovery.openNamed(url, SCOPE.deadline(), SCOPE))
                .hasNoCause();
        redis.failure = new TokenStoreException("The server answers NOAUTH: give a user and a password in the URL");
        assertThatThrownBy(() -> discovery.openNamed(url, SCOPE.deadline(), SCOPE))
                .hasMessageContaining("NOAUTH: give a user")
                .hasCause(redis.failure);
        // A driver's exception behind a store's message.
        redis.failure = new TokenStoreException("The server refused it", new IllegalStateException("user=ada"));
        assertThatThrownBy(() -> discovery.openNamed(url, SCOPE.deadline(), SCOPE))
                .hasMessageContaining("The server refused it")
                .hasNoCause();
        // Without credentials there is nothing to hide.
        redis.failure = new IllegalStateException("no connection");
        assertThatThrownBy(() -> discovery.openNamed("redis://h", SCOPE.deadline(), SCOPE))
                .hasCause(redis.failure);
    }

    /** A store knows better than the core what is to be done: its own words stand alone. */
    @Test
    void aStoresOwnMessageIsPassedOnWithoutFurtherAdvice() {
        redis.failure = new TokenStoreException(
                TokenStoreException.Outcome.UNCHANGED, "The file /srv/tokens.db is a folder. Name a file.", null);
        assertThatThrownBy(() -> discovery.openNamed("redis:file", SCOPE.deadline(), SCOPE))
                .isInstanceOfSatisfying(
                        TokenStoreException.class,
                        e -> assertThat(e.outcome()).isEqualTo(TokenStoreException.Outcome.UNCHANGED))
                .hasMessageEndingWith("could not be opened: The file /srv/tokens.db is a folder. Name a file.")
                .hasMessageNotContaining("Check that the server runs");
        redis.failure = new IllegalStateException("?");
        assertThatThrownBy(() -> discovery.openNamed("redis:file", SCOPE.deadline(), SCOPE))
                .hasMessageContaining("Check that the server runs");
    }

    /** What a store says when it is made ready for its domain passes the same filter, and the store is closed. */
    @Test
    void R9_2_aStoreThatCannotServeTheDomainIsClosedAndTellsNoCredentials() {
        List<String> called = new ArrayList<>();
        redis.store = (TokenStore) Proxy.newProxyInstance(
                getClass().getClassLoader(), new Class<?>[] {TokenStore.class}, (proxy, method, arguments) -> {
                    called.add(method.getName());
                    if (method.getName().equals("prepare")) {
                        throw new IllegalStateException("ada:hunter2 may not do that");
                    }
                    return null;
                });
        assertThatThrownBy(() -> discovery.openNamed("redis://ada:hunter2@h", SCOPE.deadline(), SCOPE))
                .isInstanceOf(TokenStoreException.class)
                .hasMessageNotContaining("hunter2")
                .hasNoCause();
        assertThat(called).containsExactly("prepare", "close");
    }
}
