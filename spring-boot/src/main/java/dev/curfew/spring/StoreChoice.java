package dev.curfew.spring;

import dev.curfew.TokenResource;
import dev.curfew.TokenStore;
import dev.curfew.spring.CurfewProperties.Store;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.util.ClassUtils;

/** Chooses the store from the properties and the application's beans, and closes it after the token resource. */
final class StoreChoice implements DisposableBean {
    private static final Logger LOG = LoggerFactory.getLogger(StoreChoice.class);
    private static final String MEMORY = "memory:";

    private final CurfewProperties properties;
    private final @Nullable String url;
    private final List<StoreCandidate> candidates;
    private @Nullable TokenStore made;

    StoreChoice(CurfewProperties properties, @Nullable String url, List<StoreCandidate> candidates) {
        this.properties = properties;
        this.url = url;
        this.candidates = candidates;
    }

    void applyTo(TokenResource.Builder builder) {
        Store store = properties.store() == null ? found() : properties.store();
        if (store == Store.MEMORY) {
            builder.url(MEMORY);
        } else if (store != Store.URL) {
            made = factory(store).get();
            builder.store(made);
        } else if (url != null) {
            builder.url(url);
        } else {
            throw new StoreChoiceException(
                    "curfew.store is 'url', and curfew.url is not set.", "Set curfew.url, or another curfew.store.");
        }
    }

    private Store found() {
        List<StoreCandidate> present =
                candidates.stream().filter(StoreCandidate::isMeant).toList();
        if (url != null) {
            return Store.URL;
        } else if (present.size() > 1) {
            throw new StoreChoiceException(
                    "The application has the means for several token stores: " + names(present) + ".",
                    "Set curfew.store to one of them, or set curfew.url.");
        } else if (present.size() == 1) {
            return present.get(0).store();
        } else if (!ClassUtils.isPresent(
                "dev.curfew.memory.MemoryTokenStore", getClass().getClassLoader())) {
            throw new StoreChoiceException(
                    "There is no token store: neither curfew.url is set, nor has the application a DataSource, a Lettuce"
                            + " connection factory or a MongoDatabaseFactory together with Curfew's store for it.",
                    "Add dev.curfew:curfew-store-jdbc, curfew-store-redis or curfew-store-mongo, or set curfew.url.");
        }
        LOG.warn(
                "Tokens are kept in the memory of this process: a revocation is unknown to other instances, and is lost at"
                        + " a restart. For production add a store, such as dev.curfew:curfew-store-jdbc, or set curfew.url."
                        + " curfew.url=memory: says that this is meant.");
        return Store.MEMORY;
    }

    private Supplier<TokenStore> factory(Store store) {
        StoreCandidate candidate = candidates.stream()
                .filter(each -> each.store() == store)
                .findFirst()
                .orElseThrow(() -> new StoreChoiceException(
                        "curfew.store is '" + name(store) + "', and that store is not on the class path.",
                        "Add dev.curfew:curfew-store-" + name(store) + " and Spring's support for its driver."));
        if (candidate.factory() == null) {
            throw new StoreChoiceException(
                    "The token store '" + name(store) + "' cannot be made: " + candidate.problem() + ".",
                    "Set curfew.url, which needs no bean, or add such a bean.");
        }
        return candidate.factory();
    }

    private static String names(List<StoreCandidate> several) {
        return several.stream().map(each -> name(each.store())).sorted().collect(Collectors.joining(", "));
    }

    private static String name(Store store) {
        return store.name().toLowerCase(Locale.ROOT);
    }

    @Override
    public void destroy() {
        if (made != null) {
            made.close();
        }
    }
}
