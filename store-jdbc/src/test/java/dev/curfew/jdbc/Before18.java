package dev.curfew.jdbc;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import javax.sql.DataSource;

/** A pool whose connections say that they lead to PostgreSQL 17: then the store sends the forms for servers before 18. */
final class Before18 {
    private Before18() {}

    static DataSource of(DataSource pool) {
        return changed(DataSource.class, pool, "getConnection", Before18::connection);
    }

    private static Object connection(Object connection) {
        return changed(Connection.class, connection, "getMetaData", Before18::metaData);
    }

    private static Object metaData(Object metaData) {
        return changed(DatabaseMetaData.class, metaData, "getDatabaseMajorVersion", version -> 17);
    }

    private interface Change {
        Object of(Object answer);
    }

    private static <T> T changed(Class<T> type, Object object, String method, Change change) {
        InvocationHandler handler = (proxy, called, arguments) -> {
            try {
                Object answer = called.invoke(object, arguments);
                return called.getName().equals(method) ? change.of(answer) : answer;
            } catch (InvocationTargetException e) {
                throw e.getCause();
            }
        };
        return type.cast(Proxy.newProxyInstance(Before18.class.getClassLoader(), new Class<?>[] {type}, handler));
    }
}
