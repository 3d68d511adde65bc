package dev.curfew.jdbc;

import java.sql.SQLException;
import org.jspecify.annotations.Nullable;

/** A function of a connection or a result. */
interface SqlFunction<A, T> {
    /** The answer, or null if the statement has to be repeated. */
    @Nullable
    T apply(A argument) throws SQLException;
}
