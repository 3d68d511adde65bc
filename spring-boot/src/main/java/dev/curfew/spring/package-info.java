/**
 * Curfew for Spring Boot 3.5 and 4: auto-configuration, and revocation for Spring Security.
 */
@NullMarked
package dev.curfew.spring;

import org.jspecify.annotations.NullMarked;
