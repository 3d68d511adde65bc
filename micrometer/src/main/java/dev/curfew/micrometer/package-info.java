/**
 * Metrics of token resources, for Micrometer.
 */
@NullMarked
package dev.curfew.micrometer;

import org.jspecify.annotations.NullMarked;
