/**
 * The compatibility kit: what every token store must pass.
 */
module dev.curfew.store.tck {
    requires static org.jspecify;
    requires transitive dev.curfew.core;
    requires transitive org.junit.jupiter.api;
    requires org.assertj.core;

    exports dev.curfew.tck;

    opens dev.curfew.tck;
}
