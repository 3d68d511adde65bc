/** What Curfew costs, beside the bare drivers and beside what else there is. */
@NullMarked
package dev.curfew.benchmarks;

import org.jspecify.annotations.NullMarked;
