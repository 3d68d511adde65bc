/**
 * What an application must know about its tokens and their holders must not see: revoked, used once, or waiting for
 * confirmation. Start at {@link dev.curfew.TokenResource}; who writes a store starts at {@link dev.curfew.TokenStore}.
 */
@NullMarked
package dev.curfew;

import org.jspecify.annotations.NullMarked;
