package dev.curfew.spring;

import dev.curfew.TokenResource;
import dev.curfew.TokenStore;
import dev.curfew.spring.CurfewProperties.Store;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.util.ClassUtils;

/** Chooses the store from the properties and the application's beans, and closes it after the token resource. */
final class StoreChoice implements DisposableBean {
    private static final Logger LOG = LoggerFactory.getLogger(StoreChoice.class);

    private final @Nullable Store named;
    private final @Nullable String url;
    private final List<Candidate> candidates;
    private @Nullable TokenStore made;

    StoreChoice(@Nullable Store named, @Nullable String url, List<Candidate> candidates) {
        this.named = named;
        this.url = url;
        this.candidates = candidates;
    }

    /**
     * A store that could be made of the application's beans.
     *
     * @param store which one
     * @param isMeant whether the application has any bean for it
     * @param factory makes the store, or {@code null} where there is not exactly one bean for it
     * @param bean which bean it is made of
     */
    record Candidate(Store store, boolean isMeant, @Nullable Supplier<TokenStore> factory, String bean) {
        static <T> Candidate of(
                Store store, boolean isMeant, @Nullable T one, Function<T, TokenStore> factory, String bean) {
            return new Candidate(store, isMeant, one == null ? null : () -> factory.apply(one), bean);
        }

        String name() {
            return store.name().toLowerCase(Locale.ROOT);
        }
    }

    /** The store could not be chosen. */
    static final class Failure extends RuntimeException {
        private static final long serialVersionUID = 1;
        final String action;

        Failure(String description, String action) {
            super(description);
            this.action = action;
        }
    }

    void applyTo(TokenResource.Builder builder) {
        Store store = named == null ? found() : named;
        if (store == Store.MEMORY) {
            builder.url("memory:");
        } else if (store != Store.URL) {
            made = factory(store).get();
            builder.store(made);
        } else if (url != null) {
            builder.url(url);
        } else {
            throw new Failure("curfew.store is 'url', and curfew.url is not set.", "Set curfew.url.");
        }
    }

    private Store found() {
        List<Candidate> meant = candidates.stream().filter(Candidate::isMeant).toList();
        if (url != null) {
            return Store.URL;
        } else if (meant.size() > 1) {
            throw new Failure(
                    "The application has the means for several token stores: "
                            + meant.stream().map(Candidate::name).sorted().toList() + ".",
                    "Set curfew.store to one of them, or set curfew.url.");
        } else if (meant.size() == 1) {
            return meant.get(0).store();
        } else if (!ClassUtils.isPresent("dev.curfew.memory.MemoryTokenStore", null)) {
            throw new Failure(
                    "There is no token store: curfew.url is not set, and the application has no bean for a store of Curfew.",
                    "Add dev.curfew:curfew-store-jdbc, curfew-store-redis or curfew-store-mongo, or set curfew.url.");
        }
        LOG.warn(
                "Tokens are kept in the memory of this process: a revocation is unknown to other instances, and is lost at"
                        + " a restart. For production add a store, such as dev.curfew:curfew-store-jdbc, or set curfew.url."
                        + " curfew.url=memory: says that this is meant.");
        return Store.MEMORY;
    }

    private Supplier<TokenStore> factory(Store store) {
        Candidate candidate = candidates.stream()
                .filter(each -> each.store() == store)
                .findFirst()
                .orElseThrow(() -> new Failure(
                        "curfew.store is " + store + ", and Curfew's store or Spring's support for it is not there.",
                        "Add the jar of the store and Spring's starter for its driver."));
        if (candidate.factory() == null) {
            throw new Failure(
                    "The token store '" + candidate.name() + "' is made of one bean, " + candidate.bean()
                            + ". There is none, or there are several.",
                    "Add or mark such a bean, or set curfew.url, which needs no bean.");
        }
        return candidate.factory();
    }

    @Override
    public void destroy() {
        if (made != null) {
            made.close();
        }
    }
}
