/**
 * Token records in the memory of one process, on Caffeine.
 */
@NullMarked
package dev.curfew.memory;

import org.jspecify.annotations.NullMarked;
