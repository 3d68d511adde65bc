package dev.curfew.spring;

import org.jspecify.annotations.Nullable;
import org.springframework.aot.hint.RuntimeHints;
import org.springframework.aot.hint.RuntimeHintsRegistrar;

/** The files that the stores read by name, for native images. */
final class CurfewRuntimeHints implements RuntimeHintsRegistrar {
    @Override
    public void registerHints(RuntimeHints hints, @Nullable ClassLoader classLoader) {
        hints.resources().registerPattern("META-INF/curfew/*");
        hints.resources().registerPattern("META-INF/services/dev.curfew.TokenStoreProvider");
    }
}
