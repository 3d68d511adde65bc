package dev.curfew.spring;

import dev.curfew.TokenResource;

/** Changes settings of the token resource before it is built, after the properties; a bean of the application. */
@FunctionalInterface
public interface TokenResourceBuilderCustomizer {
    /** Changes settings. */
    void customize(TokenResource.Builder builder);
}
