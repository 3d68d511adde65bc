package dev.curfew.jdbc;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.servers.ModulePath;
import dev.curfew.servers.PostgresServer;
import org.junit.jupiter.api.Test;

/** The store in an application that is made of modules. */
class ModulePathTest {
    @Test
    void theStoreIsFoundAndWorksOnTheModulePath() {
        assertThat(ModulePath.run(
                        "dev.curfew.store.jdbc", PostgresServer.shared().url(), "modules"))
                .containsExactly("STORED ACTIVE REVOKED REVOKED", "module dev.curfew.core");
    }
}
