/** The quickstart: the main job told step by step, a table of tokens, and a small service to try with curl. */
@NullMarked
package dev.curfew.examples;

import org.jspecify.annotations.NullMarked;
