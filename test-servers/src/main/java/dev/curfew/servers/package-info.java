/**
 * Real servers for tests: started, killed, paused, restarted on their data, and cut off.
 */
@NullMarked
package dev.curfew.servers;

import org.jspecify.annotations.NullMarked;
