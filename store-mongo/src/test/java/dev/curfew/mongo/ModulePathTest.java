package dev.curfew.mongo;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.servers.ModulePath;
import dev.curfew.servers.MongoServer;
import org.junit.jupiter.api.Test;

/** The store in an application that is made of modules. */
class ModulePathTest {
    @Test
    void theStoreIsFoundAndWorksOnTheModulePath() {
        assertThat(ModulePath.run("dev.curfew.store.mongo", MongoServer.shared().url(), "modules"))
                .containsExactly("STORED ACTIVE REVOKED REVOKED", "module dev.curfew.core");
    }
}
