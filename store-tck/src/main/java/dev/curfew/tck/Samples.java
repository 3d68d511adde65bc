package dev.curfew.tck;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Texts and values that stores have been known to change. */
final class Samples {
    static final List<String> TEXTS = List.of(
            "plain",
            " leading and trailing ",
            "Zoë",
            "e\u0301",
            "ключ",
            "日本語",
            "👩\u200d🚀",
            "\u202eright to left",
            "\ufeffbom",
            "\uffff",
            "tab\tnewline\r\nend",
            "\u0001\u001f\u007f",
            "quote ' \" ` \\",
            "a:b{c}*?[d]%_",
            "'; DROP TABLE tokens; --",
            "$where.$ne",
            "{\"json\": true}",
            "null",
            "𝒳".repeat(20));

    /** Pairs that are the same to a store which folds case, normalises Unicode, trims, or takes a wildcard seriously. */
    static final List<List<String>> LOOK_ALIKES = List.of(
            List.of("abc", "ABC"),
            List.of("abc", "abc "),
            List.of("abc", " abc"),
            List.of("abc", "abc\t"),
            List.of("\u00e9", "e\u0301"),
            List.of("\ufb01", "fi"),
            List.of("stra\u00dfe", "strasse"),
            List.of("i", "\u0131"),
            List.of("K", "\u212a"),
            List.of("a", "\u0430"),
            List.of("abc", "a%"),
            List.of("abc", "a_c"),
            List.of("abc", "*"),
            List.of("a\\b", "a\\\\b"),
            List.of("1", "01"),
            List.of("x\u200b", "x"));

    /**
     * Texts in the order of their bytes in UTF-8, which is that of their code points. To Java, where those above U+FFFF are
     * two surrogates, they come before U+E000; to a language's collation, capitals stand beside their small letters.
     */
    static final List<String> BY_BYTES = List.of(
            "A",
            "Z",
            "_",
            "b",
            "c",
            "c-",
            "cc",
            "d",
            "\u00e9",
            "\ud7ff",
            "\ue000",
            "\uffee",
            "\uffee\ud83d\udd11",
            "\uffff",
            "\ud800\udc00",
            "\ud800\udc00a",
            "\ud800\udc01",
            "\ud83d\udd11",
            "\udbff\udfff");

    private Samples() {}

    static Map<String, @Nullable Object> object(@Nullable Object... namesAndValues) {
        Map<String, @Nullable Object> object = new LinkedHashMap<>();
        for (int i = 0; i < namesAndValues.length; i += 2) {
            object.put(String.valueOf(namesAndValues[i]), namesAndValues[i + 1]);
        }
        return object;
    }

    static List<Object> nested(int levels) {
        List<Object> list = new ArrayList<>();
        if (levels > 1) {
            list.add(nested(levels - 1));
        }
        return list;
    }
}
