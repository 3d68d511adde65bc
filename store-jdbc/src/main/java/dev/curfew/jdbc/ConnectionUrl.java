package dev.curfew.jdbc;

import dev.curfew.TokenStoreException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import java.util.StringJoiner;
import java.util.regex.Pattern;

/**
 * A user's URL, taken apart for PostgreSQL's driver. The driver logs the URL that it is given. So that one has only the
 * server and the database; the parameters are properties, which the driver does not log. A URL that the driver would
 * refuse and log is refused here.
 */
final class ConnectionUrl {
    private static final String SCHEME = "jdbc:postgresql:";
    private static final String FORM = SCHEME + "//host:port/database?user=…&password=…";
    private static final String CREATE_SCHEMA = "createSchema";
    // The driver takes these from the URL only, or as part of it.
    private static final Pattern OF_SERVER = Pattern.compile("service|(?i:(PG)?(host|port|dbname))");
    private static final Pattern PORT = Pattern.compile("0*[1-9]\\d{0,4}");
    private static final int LAST_PORT = 65535;
    private static final Pattern HOST = Pattern.compile("(?i)(PG)?host");
    private static final Pattern THIS_MACHINE =
            Pattern.compile("(?i)(|localhost|127(\\.\\d+){3}|\\[(::|(0:){7})1])(:\\d+)?");

    private final String server;
    private final Properties properties;
    private boolean createsSchema = true;
    private String hosts;

    /**
     * @param defaults properties for what the URL does not say
     * @throws TokenStoreException if it is not a URL for PostgreSQL; the message quotes nothing of it
     */
    ConnectionUrl(String url, Properties defaults) {
        String rest = url.substring(SCHEME.length()); // the scheme may be in capitals, which the driver does not know
        int question = rest.indexOf('?');
        String address = question < 0 ? rest : rest.substring(0, question);
        check(address);
        hosts = address.startsWith("//") ? address.substring(2).split("/", 2)[0] : "";
        properties = new Properties();
        properties.putAll(defaults);
        var ofServer = new StringJoiner("&", "?", "").setEmptyValue("");
        for (String parameter : (question < 0 ? "" : rest.substring(question + 1)).split("&", -1)) {
            int equals = parameter.indexOf('=');
            String name = equals < 0 ? parameter : parameter.substring(0, equals);
            if (name.equalsIgnoreCase(CREATE_SCHEMA)) {
                createsSchema = isTrue(parameter);
            } else if (OF_SERVER.matcher(name).matches()) {
                ofServer.add(parameter);
                hosts += HOST.matcher(name).matches() ? "," + decoded(parameter.substring(equals + 1)) : "";
            } else if (!parameter.isEmpty()) {
                properties.setProperty(name, equals < 0 ? "" : decoded(parameter.substring(equals + 1)));
            }
        }
        server = SCHEME + address + ofServer;
    }

    /** The URL without its parameters, but for those that say where the server is. */
    String server() {
        return server;
    }

    /** The other parameters, those of the user and the password among them. */
    Properties properties() {
        return properties;
    }

    /** Whether the tables are created where they are missing: unless the URL says {@code createSchema=false}. */
    boolean createsSchema() {
        return createsSchema;
    }

    /** Whether one of the hosts is not this machine, as far as the URL tells. */
    boolean leavesThisMachine() {
        return !Pattern.compile(",")
                .splitAsStream(hosts)
                .allMatch(host -> THIS_MACHINE.matcher(host).matches());
    }

    private static void check(String address) {
        if (address.indexOf('@') >= 0) {
            throw refused("has its user and password as parameters: " + FORM
                    + ". An @ in the name of a database is written as %40");
        }
        if (address.matches(".*[&;=].*")) {
            throw refused("has parameters that begin with ?, and have an & between them: " + FORM
                    + ". In the name of a database & is written as %26, ; as %3B and = as %3D");
        }
        if (!address.startsWith("//")) {
            if (address.startsWith("/")) {
                throw refused("has two / before the host: " + FORM);
            }
            return; // the name of a database on this machine
        }
        if (address.equals("//") || address.equals("///")) {
            return; // all is said by parameters
        }
        String[] hostsAndDatabase = address.substring(2).split("/", -1);
        if (hostsAndDatabase.length != 2) {
            throw refused("has one / after the host and the port: " + FORM);
        }
        for (String host : hostsAndDatabase[0].split(",", -1)) {
            int colon = host.lastIndexOf(':');
            String port = host.substring(colon + 1);
            if (colon > host.lastIndexOf(']')
                    && (!PORT.matcher(port).matches() || Integer.parseInt(port) > LAST_PORT)) {
                throw refused("has as its port a number from 1 to 65535: " + FORM);
            }
        }
    }

    private static boolean isTrue(String createSchema) {
        return switch (createSchema) {
            case CREATE_SCHEMA + "=true" -> true;
            case CREATE_SCHEMA + "=false" -> false;
            default ->
                throw new TokenStoreException(
                        TokenStoreException.Outcome.UNCHANGED,
                        "The parameter createSchema of the URL is createSchema=true or createSchema=false, in these letters",
                        null);
        };
    }

    /** As the driver does it, for which a + is a space. */
    private static String decoded(String value) {
        try {
            return URLDecoder.decode(value, StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            throw refused("has in the values of its parameters % written as %25, & as %26 and + as %2B");
        }
    }

    private static TokenStoreException refused(String rule) {
        return new TokenStoreException(TokenStoreException.Outcome.UNCHANGED, "A jdbc:postgresql URL " + rule, null);
    }
}
