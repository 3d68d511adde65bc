package dev.curfew.jdbc;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.SQLException;

/** A real connection of which one method does something else; it cannot be unwrapped. */
final class ConnectionWrapper {

    interface Call {
        Object on(Connection connection, Object[] arguments) throws Throwable;
    }

    private ConnectionWrapper() {}

    static Connection of(Connection connection, String method, Call instead) {
        return (Connection) Proxy.newProxyInstance(
                ConnectionWrapper.class.getClassLoader(),
                new Class<?>[] {Connection.class},
                (proxy, called, arguments) -> called.getName().equals(method)
                        ? instead.on(connection, arguments)
                        : call(called, connection, arguments));
    }

    private static Object call(Method method, Connection connection, Object[] arguments) throws Throwable {
        if (method.getName().equals("unwrap") || method.getName().equals("isWrapperFor")) {
            throw new SQLException("There is nothing to unwrap");
        }
        try {
            return method.invoke(connection, arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }
}
