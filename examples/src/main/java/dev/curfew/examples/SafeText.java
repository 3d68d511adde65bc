package dev.curfew.examples;

/** Text from strangers, made fit for a terminal. */
final class SafeText {
    private static final String CUT = "...";

    private SafeText() {}

    /**
     * The text, cut to a number of columns. All but printable ASCII is escaped: then nothing in it can steer the
     * terminal, run backwards or pass for another letter, and columns stay straight.
     */
    static String shortened(String text, int columns) {
        var safe = new StringBuilder();
        int fits = 0;
        for (int codePoint : text.codePoints().toArray()) {
            if (safe.length() <= columns - CUT.length()) {
                fits = safe.length();
            }
            safe.append(escaped(codePoint));
            if (safe.length() > columns) {
                return safe.substring(0, fits) + CUT;
            }
        }
        return safe.toString();
    }

    private static String escaped(int codePoint) {
        if (codePoint == '\\') {
            return "\\\\";
        }
        return codePoint >= ' ' && codePoint <= '~'
                ? Character.toString(codePoint)
                : "\\u{" + Integer.toHexString(codePoint) + "}";
    }
}
