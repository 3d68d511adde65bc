/**
 * Metrics of Curfew's token resources, for Micrometer.
 */
module dev.curfew.micrometer {
    requires static org.jspecify;
    requires transitive dev.curfew.core;
    requires transitive micrometer.core;

    exports dev.curfew.micrometer;
}
