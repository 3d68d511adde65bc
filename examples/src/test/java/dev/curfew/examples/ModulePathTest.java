package dev.curfew.examples;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.servers.ModulePath;
import org.junit.jupiter.api.Test;

/** An application that is made of modules, with all four stores: the one of its URL is found. */
class ModulePathTest {
    @Test
    void theStoreIsFoundAndWorksOnTheModulePath() {
        assertThat(ModulePath.run("dev.curfew.store.memory", "memory:", "modules"))
                .containsExactly("STORED ACTIVE REVOKED REVOKED", "module dev.curfew.core");
    }
}
