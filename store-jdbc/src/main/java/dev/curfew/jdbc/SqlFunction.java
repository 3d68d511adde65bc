package dev.curfew.jdbc;

import java.sql.SQLException;
import org.jspecify.annotations.Nullable;

/** What is done with a connection or a result. */
interface SqlFunction<A, T> {
    /** The answer, or null where the statement has to be repeated. */
    @Nullable
    T apply(A argument) throws SQLException;
}
