/** What Curfew bears, in figures: one part of a soak test is run, counted, and added to docs/reliability.md. */
@NullMarked
package dev.curfew.reliability;

import org.jspecify.annotations.NullMarked;
