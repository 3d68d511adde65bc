/**
 * The compatibility kit. A store's author extends {@link dev.curfew.tck.ExpungingStoreContract}, or
 * {@link dev.curfew.tck.SelfExpiringStoreContract} for a store whose server removes records by itself. Every test is named after the rule of CONTRACT.md that it checks.
 */
@NullMarked
package dev.curfew.tck;

import org.jspecify.annotations.NullMarked;
