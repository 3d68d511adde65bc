package dev.curfew.spring;

import dev.curfew.TokenStore;
import dev.curfew.spring.CurfewProperties.Store;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A store that could be made of the application's beans.
 *
 * @param store which one
 * @param isMeant whether the application has any bean for it
 * @param factory makes the store, or {@code null} where there is not exactly one bean for it
 * @param problem why there is no factory; told only where the store is asked for
 */
record StoreCandidate(
        Store store, boolean isMeant, @Nullable Supplier<TokenStore> factory, String problem) {

    static <T> StoreCandidate of(
            Store store, boolean isMeant, @Nullable T bean, Function<T, TokenStore> factory, String problem) {
        return new StoreCandidate(store, isMeant, bean == null ? null : () -> factory.apply(bean), problem);
    }
}
