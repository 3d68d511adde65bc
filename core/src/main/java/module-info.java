/**
 * Curfew's core: the token resource, what it promises, and the SPI that stores implement.
 */
module dev.curfew.core {
    requires static transitive org.jspecify;
    requires org.slf4j;
    requires com.fasterxml.jackson.core;

    exports dev.curfew;

    uses dev.curfew.TokenStoreProvider;
}
