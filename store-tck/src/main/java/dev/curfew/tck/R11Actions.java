package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.curfew.CurfewException;
import dev.curfew.TokenResource;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Section R11 of CONTRACT.md: actions, as far as a store has a part in them. */
abstract class R11Actions extends R10Isolation {

    /** Runs where the store has a URL. */
    @TestFactory
    final Stream<DynamicTest> R11_5_aParameterOfTheUrlThatNobodyKnowsIsRefused() {
        return where(url(), "R11_5_aParameterOfTheUrlThatNobodyKnowsIsRefused", url -> {
            String unknown = url + (url.contains("?") ? "&" : "?") + "noSuchParameter=true";
            TokenResource.Builder settings = settings(domain).url(unknown);
            assertThatThrownBy(() -> settings.build().close(), "opening a URL with the parameter noSuchParameter=true")
                    .isInstanceOfAny(CurfewException.class, IllegalArgumentException.class);
        });
    }
}
