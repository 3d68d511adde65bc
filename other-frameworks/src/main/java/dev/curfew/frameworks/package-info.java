/** The snippets of {@code docs/other-frameworks.md}, compiled; not published. */
@NullMarked
package dev.curfew.frameworks;

import org.jspecify.annotations.NullMarked;
