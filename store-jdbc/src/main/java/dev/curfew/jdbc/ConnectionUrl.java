package dev.curfew.jdbc;

import dev.curfew.TokenStoreException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import java.util.regex.Pattern;

/**
 * A user's URL, taken apart for PostgreSQL's driver. The driver logs the URL that it is given. So the driver is given a
 * URL with the server and the database only. The parameters are properties, which the driver does not log. A URL that
 * the driver would refuse and log is refused here.
 *
 * @param server the URL without its parameters, but for those that say where the server is
 * @param properties the other parameters, those of the user and the password among them
 * @param createsSchema whether the tables are created where they are missing: unless the URL says
 *     {@code createSchema=false}
 */
record ConnectionUrl(String server, Properties properties, boolean createsSchema) {
    private static final String SCHEME = "jdbc:postgresql:";
    private static final String HOST = "([^@&;=/,]*:0*[1-9]\\d{0,4}|([^@&;=/,]*])?[^@&;=/,:]*)";
    private static final Pattern ADDRESS =
            Pattern.compile("//(" + HOST + "(," + HOST + ")*/[^@&;=/]*)?|([^@&;=/][^@&;=]*)?");
    // The driver takes these from the URL only, or as part of it.
    private static final Pattern OF_SERVER = Pattern.compile("service|(?i:(PG)?(host|port|dbname))");

    /**
     * @param defaults properties for what the URL does not say
     * @throws TokenStoreException if it is not a URL for PostgreSQL; the message quotes nothing of it
     */
    static ConnectionUrl of(String url, Properties defaults) {
        String[] parts = url.substring(SCHEME.length()).split("\\?", 2);
        if (!ADDRESS.matcher(parts[0]).matches()) {
            throw Failures.ofOpening("URL", null);
        }
        String server = SCHEME + parts[0]; // the user's scheme may be in capitals, which the driver does not know
        var properties = new Properties();
        properties.putAll(defaults);
        boolean createsSchema = true;
        try {
            for (String parameter : (parts.length == 1 ? "" : parts[1]).split("&", -1)) {
                String[] pair = parameter.split("=", 2);
                String value = pair.length == 1 ? "" : URLDecoder.decode(pair[1], StandardCharsets.UTF_8);
                if (parameter.matches("createSchema=(true|false)")) {
                    createsSchema = Boolean.parseBoolean(value);
                } else if (OF_SERVER.matcher(pair[0]).matches()) {
                    server += (server.contains("?") ? "&" : "?") + parameter;
                } else if (!parameter.isEmpty()) {
                    properties.setProperty(pair[0], value);
                }
            }
        } catch (IllegalArgumentException e) { // a % that begins nothing
            throw Failures.ofOpening("URL", null);
        }
        return new ConnectionUrl(server, properties, createsSchema);
    }

    /** Without the password. */
    @Override
    public String toString() {
        return server;
    }
}
