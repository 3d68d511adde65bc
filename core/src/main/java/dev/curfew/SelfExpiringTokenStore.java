package dev.curfew;

/**
 * A store whose server removes records past their retention end by itself (R7.7): not before the retention end and one
 * skew, so that a clock that is ahead by as much removes nothing early (R1.4). The store's {@link #readExpired} may answer
 * an empty page, and its {@link #expunge} may have nothing to do. The kit asks the store's test when the server removes a
 * record.
 */
public interface SelfExpiringTokenStore extends TokenStore {}
