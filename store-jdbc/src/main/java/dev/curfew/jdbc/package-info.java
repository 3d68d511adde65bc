/**
 * Token records in PostgreSQL, over JDBC.
 */
@NullMarked
package dev.curfew.jdbc;

import org.jspecify.annotations.NullMarked;
