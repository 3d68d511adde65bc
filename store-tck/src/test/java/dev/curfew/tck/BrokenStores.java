package dev.curfew.tck;

import dev.curfew.Consumption;
import dev.curfew.Consumption.Consumed;
import dev.curfew.Consumption.Refused;
import dev.curfew.ExtraData;
import dev.curfew.RevocationFeed;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.StoreScope;
import dev.curfew.StoredState;
import dev.curfew.SubjectMismatchException;
import dev.curfew.TokenRecord;
import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.Watermarked;
import java.text.Normalizer;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Stores that are right but for one mistake, each of a kind that real stores have made. The kit must blame each for the
 * rule that its name begins with and for no other, unless the contract says the same thing twice.
 */
enum BrokenStores {
    R1_1_CONSUMES_AT_THE_MILLISECOND_OF_EXPIRY(() -> new Broken() {
        @Override
        public synchronized Consumption use(
                StoreScope scope, String jti, String subject, String purpose, String successor, Instant now) {
            TokenRecord record = found(scope, jti, now);
            boolean justExpired = record != null && record.expiresAt().equals(now);
            return super.use(scope, jti, subject, purpose, successor, justExpired ? now.minusMillis(1) : now);
        }
    }),

    R1_1_LISTS_AT_THE_MILLISECOND_OF_EXPIRY(() -> new Broken() {
        @Override
        public synchronized List<TokenRecord> listed(
                StoreScope scope, String subject, TokenRecord after, int limit, Instant now) {
            return super.listed(scope, subject, after, limit, now.minusMillis(1));
        }
    }),

    // Then a later revocation's time is no longer the first one's (R3.4).
    R1_2_STAMPS_REVOCATIONS_BY_A_CLOCK_OF_ITS_OWN(
            () -> new Broken() {
                @Override
                public synchronized RevokeOutcome revoke(
                        StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
                    RevokeOutcome outcome = super.revoke(scope, revocation, keepUntil, now);
                    if (outcome == RevokeOutcome.REVOKED) {
                        Instant own = Instant.now().truncatedTo(ChronoUnit.MILLIS);
                        change(
                                scope,
                                revocation.jti(),
                                r -> new TokenRecord(
                                        r.jti(),
                                        r.subject(),
                                        r.purpose(),
                                        r.issuedAt(),
                                        r.expiresAt(),
                                        r.extraData(),
                                        r.createdAt(),
                                        r.updatedAt(),
                                        own,
                                        r.session(),
                                        r.successor()));
                    }
                    return outcome;
                }
            },
            "R3.4"),

    R1_2_READS_BY_A_CLOCK_OF_ITS_OWN(() -> new Broken() {
        @Override
        public synchronized TokenRecord found(StoreScope scope, String jti, Instant now) {
            TokenRecord record = super.found(scope, jti, now);
            return record == null || !record.isLive(Instant.now()) ? null : record;
        }
    }),

    R1_2_LISTS_BY_A_CLOCK_OF_ITS_OWN(() -> new Broken() {
        @Override
        public synchronized List<TokenRecord> listed(
                StoreScope scope, String subject, TokenRecord after, int limit, Instant now) {
            return super.listed(scope, subject, after, limit, now).stream()
                    .filter(record -> record.isLive(Instant.now()))
                    .toList();
        }
    }),

    R1_2_CHECKS_BY_A_CLOCK_OF_ITS_OWN(() -> new Broken() {
        @Override
        public StoredState state(StoreScope scope, String jti, String subject, String session, Instant now) {
            StoredState state = super.state(scope, jti, subject, session, now);
            TokenRecord record = state.record();
            return record == null || record.isLive(Instant.now())
                    ? state
                    : new StoredState(null, state.watermark(), state.isSessionRevoked());
        }
    }),

    R1_3_KEEPS_THE_TIME_OF_ISSUE_IN_SECONDS(
            () -> new Broken() {
                @Override
                public StoreOutcome store(StoreScope scope, TokenRecord r, Instant now) {
                    Instant seconds = r.issuedAt() == null ? null : r.issuedAt().truncatedTo(ChronoUnit.SECONDS);
                    return super.store(
                            scope,
                            new TokenRecord(
                                    r.jti(),
                                    r.subject(),
                                    r.purpose(),
                                    seconds,
                                    r.expiresAt(),
                                    r.extraData(),
                                    r.createdAt(),
                                    r.updatedAt(),
                                    r.revokedAt(),
                                    r.session(),
                                    r.successor()),
                            now);
                }
            },
            "R4.4"),

    // Where it should extend a retention it extends it too little (R3.3).
    R1_3_KEEPS_THE_END_OF_A_REVOCATION_IN_SECONDS(
            () -> new Broken() {
                @Override
                public RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
                    return super.revoke(scope, revocation, keepUntil.truncatedTo(ChronoUnit.SECONDS), now);
                }
            },
            "R3.3"),

    R1_4_EXPUNGES_REVOCATIONS_AT_EXPIRY(
            () -> new Broken() {
                @Override
                public synchronized int expunge(StoreScope scope, int limit, Instant now) {
                    records.values()
                            .removeIf(
                                    r -> r.isRevoked() && !r.isLive(now) && !scope.isPastRetention(r.expiresAt(), now));
                    return super.expunge(scope, limit, now);
                }
            },
            "R1.7"),

    R1_5_DROPS_AN_EXPIRED_RECORD_ONCE_IT_WAS_READ(
            () -> new Broken() {
                @Override
                public synchronized TokenRecord found(StoreScope scope, String jti, Instant now) {
                    TokenRecord record = super.found(scope, jti, now);
                    if (record != null && !record.isLive(now) && !record.isRevoked()) {
                        records.remove(key(scope, jti));
                    }
                    return record;
                }
            },
            "R6.1"),

    R1_6_COUNTS_FROM_THE_LATEST_TIME_IT_HAS_SEEN(() -> new Broken() {
        private Instant latest = Instant.MIN;

        @Override
        public synchronized TokenRecord found(StoreScope scope, String jti, Instant now) {
            latest = jti.isEmpty() ? latest : later(latest, now); // a resource that opens asks for no record
            TokenRecord record = super.found(scope, jti, now);
            boolean ahead = latest.isAfter(now.plusSeconds(7200));
            return ahead && record != null && scope.isPastRetention(record.expiresAt(), latest) ? null : record;
        }
    }),

    R1_7_KEEPS_NOTHING_FOR_THE_EMPTY_SUBJECT(() -> new Broken() {
        @Override
        public void revokeSubject(StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now) {
            if (!subject.isEmpty()) {
                super.revokeSubject(scope, subject, watermark, keepUntil, now);
            }
        }
    }),

    R1_7_KEEPS_A_SKEW_OF_ONE_NODE(() -> new Broken() {
        @Override
        public StoredState state(StoreScope scope, String jti, String subject, String session, Instant now) {
            StoredState state = super.state(scope, jti, subject, session, now);
            return subject.isEmpty() ? new StoredState(state.record(), Instant.EPOCH.plus(scope.skew()), false) : state;
        }
    }),

    R2_1_MOVES_THE_TIME_OF_CREATION(() -> new Broken() {
        @Override
        public synchronized StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
            StoreOutcome outcome = super.store(scope, record, now);
            if (outcome == StoreOutcome.STORED) {
                change(scope, record.jti(), r -> record);
            }
            return outcome;
        }
    }),

    R2_1_TAKES_THE_LAST_CHANGE_FOR_THE_TIME_OF_CREATION(() -> new Broken() {
        @Override
        public synchronized StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
            TokenRecord before = found(scope, record.jti(), now);
            StoreOutcome outcome = super.store(scope, record, now);
            if (outcome == StoreOutcome.STORED && before != null) {
                change(scope, record.jti(), r -> r.withCreatedAt(before.updatedAt()));
            }
            return outcome;
        }
    }),

    R2_1_WRITES_A_RECORD_IN_TWO_PARTS(() -> new Broken() {
        @Override
        public StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
            StoreOutcome outcome = super.store(scope, record, now);
            if (outcome == StoreOutcome.STORED) {
                pause();
                change(
                        scope,
                        record.jti(),
                        r -> r.isRevoked()
                                ? r
                                : new TokenRecord(
                                        r.jti(),
                                        r.subject(),
                                        record.purpose(),
                                        r.issuedAt(),
                                        r.expiresAt(),
                                        r.extraData(),
                                        r.createdAt(),
                                        r.updatedAt(),
                                        null,
                                        r.session(),
                                        r.successor()));
            }
            return outcome;
        }
    }),

    R2_2_STORING_CLEARS_A_REVOCATION(
            () -> new Broken() {
                @Override
                public synchronized StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
                    StoreOutcome outcome = super.store(scope, record, now);
                    if (outcome == StoreOutcome.REVOKED) {
                        change(scope, record.jti(), r -> record.withCreatedAt(r.createdAt()));
                    }
                    return StoreOutcome.STORED;
                }
            },
            "R5.1"),

    R2_2_READS_BEFORE_IT_INSERTS(
            () -> new Broken() {
                @Override
                public StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
                    if (found(scope, record.jti(), now) != null) {
                        return super.store(scope, record, now);
                    }
                    pause();
                    synchronized (this) {
                        records.put(key(scope, record.jti()), record);
                    }
                    return StoreOutcome.STORED;
                }
            },
            "R2.3"),

    R2_2_STORES_OVER_AN_EXPIRED_REVOCATION(() -> new Broken() {
        @Override
        public synchronized StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
            TokenRecord before = found(scope, record.jti(), now);
            if (before != null
                    && before.isRevoked()
                    && !before.isLive(now.plusMillis(1).minus(scope.skew()))) {
                records.remove(key(scope, record.jti()));
            }
            return super.store(scope, record, now);
        }
    }),

    R2_2_LOCKS_ONLY_ITSELF_WHEN_IT_STORES(
            shared -> new LocksOnlyItself(shared) {
                @Override
                public synchronized StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
                    TokenRecord before = shared.found(scope, record.jti(), now);
                    if (before != null) {
                        return super.store(scope, record, now);
                    }
                    pause();
                    put(scope, record);
                    return StoreOutcome.STORED;
                }
            },
            "R2.3"),

    R2_1_CREATES_ANEW_WHAT_HAS_EXPIRED(() -> new Broken() {
        @Override
        public synchronized StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
            TokenRecord before = found(scope, record.jti(), now);
            StoreOutcome outcome = super.store(scope, record, now);
            if (outcome == StoreOutcome.STORED && before != null && !before.isLive(now)) {
                change(scope, record.jti(), r -> record);
            }
            return outcome;
        }
    }),

    R2_3_GIVES_AN_EXPIRED_RECORD_TO_ANOTHER_SUBJECT(() -> new Broken() {
        @Override
        public synchronized StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
            try {
                return super.store(scope, record, now);
            } catch (SubjectMismatchException e) {
                TokenRecord before = found(scope, record.jti(), now);
                if (before == null || before.isRevoked() || before.isLive(now)) {
                    throw e;
                }
                change(scope, record.jti(), r -> record);
                return StoreOutcome.STORED;
            }
        }
    }),

    R2_3_LOOKS_AT_THE_SUBJECT_BEFORE_IT_LOCKS(() -> new Broken() {
        @Override
        public StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
            TokenRecord before = found(scope, record.jti(), now);
            pause();
            synchronized (this) {
                TokenRecord stored = found(scope, record.jti(), now);
                if (before == null && stored != null && !stored.isRevoked()) {
                    change(scope, record.jti(), r -> record.withCreatedAt(r.createdAt()));
                    return StoreOutcome.STORED;
                }
                return super.store(scope, record, now);
            }
        }
    }),

    R2_3_GIVES_A_RECORD_TO_ANOTHER_SUBJECT(() -> new Broken() {
        @Override
        public synchronized StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
            try {
                return super.store(scope, record, now);
            } catch (SubjectMismatchException e) {
                change(scope, record.jti(), r -> r.isRevoked() ? r : record.withCreatedAt(r.createdAt()));
                return StoreOutcome.STORED;
            }
        }
    }),

    R2_6_KEEPS_NUMBERS_AS_DOUBLES(() -> new ChangesExtraData() {
        @Override
        Object changed(Object value) {
            return value instanceof Long number ? (Object) (long) (double) number : value;
        }
    }),

    R2_6_TRIMS_TEXT(() -> new ChangesExtraData() {
        @Override
        Object changed(Object value) {
            return value instanceof String text ? text.strip() : value;
        }
    }),

    R2_6_NORMALISES_UNICODE(() -> new ChangesExtraData() {
        @Override
        Object changed(Object value) {
            return value instanceof String text ? Normalizer.normalize(text, Normalizer.Form.NFC) : value;
        }
    }),

    // Also those milliseconds before the epoch are lost (R1.3).
    R2_6_TAKES_THE_EPOCH_FOR_NO_TIME_OF_ISSUE(
            () -> new Broken() {
                @Override
                public TokenRecord found(StoreScope scope, String jti, Instant now) {
                    TokenRecord r = super.found(scope, jti, now);
                    return r == null || r.issuedAt() == null || r.issuedAt().isAfter(Instant.EPOCH)
                            ? r
                            : new TokenRecord(
                                    r.jti(),
                                    r.subject(),
                                    r.purpose(),
                                    null,
                                    r.expiresAt(),
                                    r.extraData(),
                                    r.createdAt(),
                                    r.updatedAt(),
                                    r.revokedAt(),
                                    r.session(),
                                    r.successor());
                }
            },
            "R1.3"),

    R2_7_HIDES_WHAT_IS_BEING_STORED_AGAIN(
            () -> new Broken() {
                private final Set<String> beingStored = ConcurrentHashMap.newKeySet();

                @Override
                public StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
                    beingStored.add(record.jti());
                    try {
                        pause();
                        return super.store(scope, record, now);
                    } finally {
                        beingStored.remove(record.jti());
                    }
                }

                @Override
                public synchronized List<TokenRecord> listed(
                        StoreScope scope, String subject, TokenRecord after, int limit, Instant now) {
                    return super.listed(scope, subject, after, limit, now).stream()
                            .filter(r -> !beingStored.contains(r.jti()))
                            .toList();
                }
            },
            "R4.1"),

    R2_7_FILTERS_A_PAGE_THAT_IS_CUT_ALREADY(
            () -> new Broken() {
                @Override
                public synchronized List<TokenRecord> listed(
                        StoreScope scope, String subject, TokenRecord after, int limit, Instant now) {
                    found(scope, "", now);
                    return records.values().stream()
                            .filter(r ->
                                    subject.equals(r.subject()) && r.isLive(now) && r == found(scope, r.jti(), now))
                            .filter(r -> after == null || TokenRecord.BY_EXPIRY.compare(r, after) > 0)
                            .sorted(TokenRecord.BY_EXPIRY)
                            .limit(limit)
                            .filter(r -> !r.isRevoked())
                            .toList();
                }

                @Override
                public synchronized int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
                    int revoked = 0;
                    for (TokenRecord r : super.listed(scope, subject, null, limit, now)) {
                        records.put(key(scope, r.jti()), r.revoked(now, r.expiresAt()));
                        revoked++;
                    }
                    return revoked;
                }
            },
            "R12.6"),

    R2_7_LISTS_BY_UTF_16(() -> new Broken() {
        @Override
        public synchronized List<TokenRecord> listed(
                StoreScope scope, String subject, TokenRecord after, int limit, Instant now) {
            return super.listed(scope, subject, null, Integer.MAX_VALUE, now).stream()
                    .filter(r -> after == null || BY_UTF_16.compare(r, after) > 0)
                    .sorted(BY_UTF_16)
                    .limit(limit)
                    .toList();
        }
    }),

    R2_7_LISTS_BY_JTI(
            () -> new Broken() {
                @Override
                public synchronized List<TokenRecord> listed(
                        StoreScope scope, String subject, TokenRecord after, int limit, Instant now) {
                    Comparator<TokenRecord> byJti = Comparator.comparing(TokenRecord::jti);
                    return super.listed(scope, subject, null, Integer.MAX_VALUE, now).stream()
                            .filter(r -> after == null || byJti.compare(r, after) > 0)
                            .sorted(byJti)
                            .limit(limit)
                            .toList();
                }
            },
            "R4.5",
            "R13.4"),

    R2_7_PAGES_BY_EXPIRY_ALONE(() -> new Broken() {
        @Override
        public synchronized List<TokenRecord> listed(
                StoreScope scope, String subject, TokenRecord after, int limit, Instant now) {
            return super.listed(scope, subject, null, Integer.MAX_VALUE, now).stream()
                    .filter(r -> after == null || r.expiresAt().isAfter(after.expiresAt()))
                    .limit(limit)
                    .toList();
        }
    }),

    // R5.4 gives the same guarantee for a token that was never stored, and consuming is revoking (R5.1).
    R3_1_READS_BEFORE_IT_REVOKES(
            () -> new Broken() {
                @Override
                public RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
                    boolean revoked = isRevoked(scope, revocation.jti(), now);
                    pause();
                    super.revoke(scope, revocation, keepUntil, now);
                    return revoked ? RevokeOutcome.ALREADY_REVOKED : RevokeOutcome.REVOKED;
                }
            },
            "R5.4",
            "R5.1",
            "R4.1",
            "R14.6"),

    // As above.
    R3_1_LOCKS_ONLY_ITSELF_WHEN_IT_REVOKES(
            shared -> new LocksOnlyItself(shared) {
                @Override
                public synchronized RevokeOutcome revoke(
                        StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
                    boolean revoked = shared.isRevoked(scope, revocation.jti(), now);
                    pause();
                    super.revoke(scope, revocation, keepUntil, now);
                    return revoked ? RevokeOutcome.ALREADY_REVOKED : RevokeOutcome.REVOKED;
                }
            },
            "R5.4",
            "R5.1",
            "R4.1",
            "R14.6"),

    R3_1_CALLS_AN_EXTENSION_A_REVOCATION(
            () -> new Broken() {
                @Override
                public synchronized RevokeOutcome revoke(
                        StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
                    TokenRecord before = found(scope, revocation.jti(), now);
                    RevokeOutcome outcome = super.revoke(scope, revocation, keepUntil, now);
                    return before != null && before.expiresAt().isBefore(keepUntil) ? RevokeOutcome.REVOKED : outcome;
                }
            },
            "R14.6"),

    R3_2_WRITES_BACK_WHAT_IT_READ_WHEN_EXPUNGING(() -> new Broken() {
        @Override
        public int expunge(StoreScope scope, int limit, Instant now) {
            Map<Key, TokenRecord> survivors = new HashMap<>();
            synchronized (this) {
                records.forEach((key, record) -> {
                    if (record.isLive(now) && !record.isRevoked()) {
                        survivors.put(key, record);
                    }
                });
            }
            pause();
            synchronized (this) {
                records.putAll(survivors);
            }
            return super.expunge(scope, limit, now);
        }
    }),

    R3_2_EXPUNGES_WHAT_WAS_REVOKED_MEANWHILE(() -> new Broken() {
        @Override
        public int expunge(StoreScope scope, int limit, Instant now) {
            List<Key> garbage;
            synchronized (this) {
                garbage = garbage(scope, now);
            }
            pause();
            synchronized (this) {
                int removed = 0;
                for (Key key : garbage) {
                    if (removed < limit && records.remove(key) != null) {
                        removed++;
                    }
                }
                return removed == limit ? removed : removed + super.expunge(scope, limit - removed, now);
            }
        }
    }),

    R3_2_LOCKS_ONLY_ITSELF_WHEN_IT_EXPUNGES(shared -> new LocksOnlyItself(shared) {
        @Override
        public synchronized int expunge(StoreScope scope, int limit, Instant now) {
            Map<ModelTokenStore.Key, TokenRecord> survivors = new HashMap<>();
            synchronized (shared) {
                shared.records.forEach((key, record) -> {
                    if (record.isLive(now) && !record.isRevoked()) {
                        survivors.put(key, record);
                    }
                });
            }
            pause();
            synchronized (shared) {
                shared.records.putAll(survivors);
            }
            return super.expunge(scope, limit, now);
        }
    }),

    R3_2_REMEMBERS_WHAT_WAS_NOT_REVOKED(shared -> new LocksOnlyItself(shared) {
        private final Set<List<String>> seen = new HashSet<>();

        @Override
        public synchronized boolean isRevoked(StoreScope scope, String jti, Instant now) {
            List<String> key = List.of(scope.domain(), scope.tenant(), jti);
            boolean revoked = !seen.contains(key) && super.isRevoked(scope, jti, now);
            if (!revoked) {
                seen.add(key);
            }
            return revoked;
        }

        @Override
        public synchronized RevokeOutcome revoke(
                StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
            seen.clear();
            return super.revoke(scope, revocation, keepUntil, now);
        }

        @Override
        public synchronized Watermarked<Consumption> consume(
                StoreScope scope, String jti, String subject, String purpose, String successor, Instant now) {
            seen.clear();
            return super.consume(scope, jti, subject, purpose, successor, now);
        }

        @Override
        public synchronized int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
            seen.clear();
            return super.revokeStored(scope, subject, limit, now);
        }
    }),

    R3_3_TAKES_THE_LATEST_REVOCATIONS_EXPIRY(
            () -> new Broken() {
                @Override
                public synchronized RevokeOutcome revoke(
                        StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
                    RevokeOutcome outcome = super.revoke(scope, revocation, keepUntil, now);
                    if (!keepUntil.equals(Instant.EPOCH)) {
                        change(
                                scope,
                                revocation.jti(),
                                r -> new TokenRecord(
                                        r.jti(),
                                        r.subject(),
                                        r.purpose(),
                                        r.issuedAt(),
                                        keepUntil,
                                        r.extraData(),
                                        r.createdAt(),
                                        r.updatedAt(),
                                        r.revokedAt(),
                                        r.session(),
                                        r.successor()));
                    }
                    return outcome;
                }
            },
            "R3.5"),

    R3_4_A_LATER_REVOCATION_TAKES_THE_TIME_OF_THE_FIRST(
            () -> new Broken() {
                @Override
                public synchronized RevokeOutcome revoke(
                        StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
                    RevokeOutcome outcome = super.revoke(scope, revocation, keepUntil, now);
                    change(scope, revocation.jti(), r -> revoked(r, now, now));
                    return outcome;
                }
            },
            "R14.6"),

    R3_4_A_LATER_REVOCATION_MOVES_THE_TIME_OF_THE_LAST_CHANGE(() -> new Broken() {
        @Override
        public synchronized RevokeOutcome revoke(
                StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
            RevokeOutcome outcome = super.revoke(scope, revocation, keepUntil, now);
            change(scope, revocation.jti(), r -> revoked(r, now, r.revokedAt()));
            return outcome;
        }
    }),

    R3_4_REPLACES_A_RECORD_BY_ITS_REVOCATION(
            () -> new Broken() {
                @Override
                public synchronized RevokeOutcome revoke(
                        StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
                    RevokeOutcome outcome = super.revoke(scope, revocation, keepUntil, now);
                    change(
                            scope,
                            revocation.jti(),
                            r -> new TokenRecord(
                                    r.jti(),
                                    r.subject(),
                                    "revocation",
                                    r.issuedAt(),
                                    r.expiresAt(),
                                    null,
                                    r.createdAt(),
                                    r.updatedAt(),
                                    r.revokedAt(),
                                    r.session(),
                                    r.successor()));
                    return outcome;
                }
            },
            "R14.4",
            "R14.6"),

    R3_5_KEEPS_A_REVOCATION_BY_JTI_FOR_EVER(
            () -> new Broken() {
                @Override
                public RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
                    return super.revoke(scope, revocation, revocation.expiresAt(), now);
                }
            },
            "R3.11"),

    R3_6_FORGETS_A_REVOCATION_AT_EXPIRY(() -> new Broken() {
        @Override
        public boolean isRevoked(StoreScope scope, String jti, Instant now) {
            TokenRecord record = found(scope, jti, now);
            return record != null && record.isRevoked() && record.isLive(now);
        }

        @Override
        public Set<String> revoked(StoreScope scope, Collection<String> jtis, Instant now) {
            Set<String> revoked = new HashSet<>(jtis);
            revoked.removeIf(jti -> !super.isRevoked(scope, jti, now));
            return revoked;
        }
    }),

    R3_8_LEAVES_THE_PURPOSE_OUT_OF_A_CHECK(
            () -> new Broken() {
                @Override
                public StoredState state(StoreScope scope, String jti, String subject, String session, Instant now) {
                    StoredState state = super.state(scope, jti, subject, session, now);
                    TokenRecord r = state.record();
                    return r == null
                            ? state
                            : new StoredState(
                                    new TokenRecord(
                                            r.jti(),
                                            r.subject(),
                                            "",
                                            r.issuedAt(),
                                            r.expiresAt(),
                                            null,
                                            r.createdAt(),
                                            r.updatedAt(),
                                            r.revokedAt(),
                                            r.session(),
                                            r.successor()),
                                    state.watermark(),
                                    state.isSessionRevoked());
                }
            },
            "R14.1",
            "R14.2",
            "R14.3",
            "R14.4",
            "R14.5",
            "R14.6"),

    R3_9_ASKS_FOR_A_HUNDRED_AT_MOST(() -> new Broken() {
        @Override
        public Set<String> revoked(StoreScope scope, Collection<String> jtis, Instant now) {
            return super.revoked(scope, jtis.stream().limit(100).toList(), now);
        }
    }),

    R3_9_ASKS_FOR_FIVE_HUNDRED_AT_MOST(() -> new Broken() {
        @Override
        public Set<String> revoked(StoreScope scope, Collection<String> jtis, Instant now) {
            return super.revoked(scope, jtis.stream().limit(500).toList(), now);
        }
    }),

    R3_9_JOINS_JTIS_BY_COMMAS(() -> new Broken() {
        @Override
        public synchronized Set<String> revoked(StoreScope scope, Collection<String> jtis, Instant now) {
            return super.revoked(
                    scope, java.util.Arrays.asList(String.join(",", jtis).split(",", -1)), now);
        }
    }),

    R3_10_REVOKES_ONLY_IN_THE_OWNERS_NAME(() -> new Broken() {
        @Override
        public synchronized RevokeOutcome revoke(
                StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
            TokenRecord stored = found(scope, revocation.jti(), now);
            return stored != null
                            && stored.subject() != null
                            && revocation.subject() != null
                            && !stored.subject().equals(revocation.subject())
                    ? RevokeOutcome.ALREADY_REVOKED
                    : super.revoke(scope, revocation, keepUntil, now);
        }
    }),

    R4_1_STOPS_ONE_SHORT_OF_A_FULL_BATCH(() -> new Broken() {
        @Override
        public synchronized int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
            return super.revokeStored(scope, subject, limit - 1, now);
        }
    }),

    R4_1_SKIPS_WHAT_SOMEBODY_IS_CHANGING(
            () -> new Broken() {
                @Override
                public int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
                    List<TokenRecord> batch = listed(scope, subject, null, limit, now);
                    pause();
                    synchronized (this) {
                        int revoked = 0;
                        for (TokenRecord record : batch) {
                            if (records.replace(key(scope, record.jti()), record, record.revoked(now, now))) {
                                revoked++;
                            }
                        }
                        return revoked;
                    }
                }
            },
            "R12.6"),

    R4_1_COUNTS_WHAT_ANOTHER_HAS_REVOKED(
            () -> new Broken() {
                @Override
                public int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
                    List<TokenRecord> batch = listed(scope, subject, null, limit, now);
                    pause();
                    batch.forEach(record -> change(scope, record.jti(), r -> r.revoked(now, r.expiresAt())));
                    return batch.size();
                }
            },
            "R12.6"),

    R4_1_HIDES_A_RECORD_BEFORE_IT_REVOKES_IT(() -> new Broken() {
        private final Set<Key> hidden = new HashSet<>();

        @Override
        public RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
            synchronized (this) {
                hidden.add(key(scope, revocation.jti()));
            }
            pause();
            return super.revoke(scope, revocation, keepUntil, now);
        }

        @Override
        public synchronized List<TokenRecord> listed(
                StoreScope scope, String subject, TokenRecord after, int limit, Instant now) {
            return super.listed(scope, subject, after, Integer.MAX_VALUE, now).stream()
                    .filter(record -> !hidden.contains(key(scope, record.jti())))
                    .limit(limit)
                    .toList();
        }
    }),

    R4_1_LOCKS_ONLY_ITSELF_WHEN_IT_REVOKES_ALL(
            shared -> new LocksOnlyItself(shared) {
                @Override
                public synchronized int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
                    List<TokenRecord> batch = shared.listed(scope, subject, null, limit, now);
                    pause();
                    synchronized (shared) {
                        int revoked = 0;
                        for (TokenRecord r : batch) {
                            if (shared.records.replace(shared.key(scope, r.jti()), r, r.revoked(now, now))) {
                                revoked++;
                            }
                        }
                        return revoked;
                    }
                }
            },
            "R12.6"),

    R4_2_LETS_AN_EARLIER_WATERMARK_WIN(() -> new Broken() {
        @Override
        public synchronized void revokeSubject(
                StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now) {
            super.revokeSubject(scope, subject, watermark, keepUntil, now);
            watermarks.put(key(scope, subject), new Watermark(watermark, keepUntil));
        }
    }),

    R4_2_EXPUNGES_A_WATERMARK_THAT_WAS_RAISED_MEANWHILE(() -> new Broken() {
        @Override
        public int expunge(StoreScope scope, int limit, Instant now) {
            List<Key> ended;
            synchronized (this) {
                ended = watermarks.entrySet().stream()
                        .filter(e -> e.getKey().domain().equals(scope.domain()))
                        .filter(e -> !now.isBefore(e.getValue().keptUntil()))
                        .map(Map.Entry::getKey)
                        .toList();
            }
            pause();
            synchronized (this) {
                int removed = 0;
                for (Key key : ended) {
                    if (removed < limit && watermarks.remove(key) != null) {
                        removed++;
                    }
                }
                return removed == limit ? removed : removed + super.expunge(scope, limit - removed, now);
            }
        }
    }),

    R4_2_EXPUNGES_WATERMARKS_TOO_EARLY(() -> new Broken() {
        @Override
        public synchronized int expunge(StoreScope scope, int limit, Instant now) {
            watermarks
                    .values()
                    .removeIf(w -> !w.keptUntil().minusSeconds(60).isAfter(now) && now.isBefore(w.keptUntil()));
            return super.expunge(scope, limit, now);
        }
    }),

    R4_2_RAISES_AN_END_WITH_A_LATER_WATERMARK_ONLY(() -> new Broken() {
        @Override
        public synchronized void revokeSubject(
                StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now) {
            Watermark stored = watermarks.get(key(scope, subject));
            if (stored == null || watermark.isAfter(stored.at())) {
                super.revokeSubject(scope, subject, watermark, keepUntil, now);
            }
        }
    }),

    R4_2_KEEPS_THE_END_OF_A_WATERMARK_IN_SECONDS(() -> new Broken() {
        @Override
        public void revokeSubject(StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now) {
            super.revokeSubject(scope, subject, watermark, keepUntil.truncatedTo(ChronoUnit.SECONDS), now);
        }
    }),

    R4_4_KNOWS_THE_TIME_OF_ISSUE_TO_THE_SECOND(() -> new Broken() {
        @Override
        public StoredState state(StoreScope scope, String jti, String subject, String session, Instant now) {
            StoredState state = super.state(scope, jti, subject, session, now);
            TokenRecord r = state.record();
            return r == null || r.issuedAt() == null
                    ? state
                    : new StoredState(
                            new TokenRecord(
                                    r.jti(),
                                    r.subject(),
                                    r.purpose(),
                                    r.issuedAt().truncatedTo(ChronoUnit.SECONDS),
                                    r.expiresAt(),
                                    r.extraData(),
                                    r.createdAt(),
                                    r.updatedAt(),
                                    r.revokedAt(),
                                    r.session(),
                                    r.successor()),
                            state.watermark(),
                            state.isSessionRevoked());
        }
    }),

    R4_5_FINDS_A_RECORD_WITHOUT_ITS_WATERMARK(
            () -> new Broken() {
                @Override
                public StoredState find(StoreScope scope, String jti, Instant now) {
                    return new StoredState(super.find(scope, jti, now).record(), null, false);
                }
            },
            "R2.5"),

    R4_5_CONSUMES_WHATEVER_THE_WATERMARK_SAYS(
            () -> new Broken() {
                @Override
                public Watermarked<Consumption> consume(
                        StoreScope scope, String jti, String subject, String purpose, String successor, Instant now) {
                    return new Watermarked<>(
                            super.consume(scope, jti, subject, purpose, successor, now)
                                    .answer(),
                            null);
                }
            },
            "R5.1"),

    R4_5_LISTS_WITHOUT_A_WATERMARK(
            () -> new Broken() {
                @Override
                public Watermarked<List<TokenRecord>> list(
                        StoreScope scope, String subject, TokenRecord after, int limit, Instant now) {
                    return new Watermarked<>(
                            super.list(scope, subject, after, limit, now).answer(), null);
                }
            },
            "R2.7"),

    // A consumption and a revocation at once are two revocations (R3.1).
    R5_1_READS_BEFORE_IT_CONSUMES(
            () -> new Broken() {
                @Override
                public Consumption use(
                        StoreScope scope, String jti, String subject, String purpose, String successor, Instant now) {
                    TokenRecord record = found(scope, jti, now);
                    pause();
                    Consumption answer = super.use(scope, jti, subject, purpose, successor, now);
                    return answer == Refused.ALREADY_USED && record != null && !record.isRevoked()
                            ? new Consumed(record.revoked(now, now))
                            : answer;
                }
            },
            "R4.1",
            "R14.1",
            "R14.3",
            "R14.6"),

    R5_1_LOCKS_ONLY_ITSELF_WHEN_IT_CONSUMES(
            shared -> new LocksOnlyItself(shared) {
                @Override
                public synchronized Watermarked<Consumption> consume(
                        StoreScope scope, String jti, String subject, String purpose, String successor, Instant now) {
                    TokenRecord record = shared.found(scope, jti, now);
                    pause();
                    Watermarked<Consumption> answer = super.consume(scope, jti, subject, purpose, successor, now);
                    return answer.answer() == Refused.ALREADY_USED && record != null && !record.isRevoked()
                            ? new Watermarked<>(new Consumed(record.revoked(now, now)), null)
                            : answer;
                }
            },
            "R4.1",
            "R14.1",
            "R14.3",
            "R14.6"),

    R5_1_ANSWERS_THE_RECORD_THAT_IT_READ_BEFORE(() -> new Broken() {
        @Override
        public Consumption use(
                StoreScope scope, String jti, String subject, String purpose, String successor, Instant now) {
            TokenRecord before = found(scope, jti, now);
            pause();
            Consumption answer = super.use(scope, jti, subject, purpose, successor, now);
            return answer instanceof Consumed && before != null
                    ? new Consumed(before.revoked(now, before.expiresAt()))
                    : answer;
        }
    }),

    R5_2_CONSUMES_BEFORE_IT_LOOKS_AT_THE_PURPOSE(
            () -> new Broken() {
                @Override
                public synchronized Consumption use(
                        StoreScope scope, String jti, String subject, String purpose, String successor, Instant now) {
                    TokenRecord record = found(scope, jti, now);
                    if (record != null && !record.purpose().equals(purpose)) {
                        super.use(scope, jti, subject, record.purpose(), successor, now);
                        return Refused.UNKNOWN;
                    }
                    return super.use(scope, jti, subject, purpose, successor, now);
                }
            },
            "R2.7"),

    R5_2_TELLS_ANOTHER_PURPOSE_THAT_IT_IS_USED(() -> new Broken() {
        @Override
        public synchronized Consumption use(
                StoreScope scope, String jti, String subject, String purpose, String successor, Instant now) {
            return isRevoked(scope, jti, now)
                    ? Refused.ALREADY_USED
                    : super.use(scope, jti, subject, purpose, successor, now);
        }
    }),

    R5_2_CONSUMES_ANOTHERS_TOKEN(() -> new Broken() {
        @Override
        public synchronized Consumption use(
                StoreScope scope, String jti, String subject, String purpose, String successor, Instant now) {
            return super.use(scope, jti, null, purpose, successor, now);
        }
    }),

    R5_3_CALLS_THE_EXPIRED_UNKNOWN(
            () -> new Broken() {
                @Override
                public synchronized Consumption use(
                        StoreScope scope, String jti, String subject, String purpose, String successor, Instant now) {
                    Consumption answer = super.use(scope, jti, subject, purpose, successor, now);
                    return answer == Refused.EXPIRED ? Refused.UNKNOWN : answer;
                }
            },
            "R6.1"),

    R7_1_READS_THE_EXPIRED_BY_JTI(() -> new Broken() {
        @Override
        public synchronized List<TokenRecord> readExpired(StoreScope scope, TokenRecord after, int limit, Instant now) {
            Comparator<TokenRecord> byJti = Comparator.comparing(TokenRecord::jti);
            return super.readExpired(scope, null, Integer.MAX_VALUE, now).stream()
                    .filter(r -> after == null || byJti.compare(r, after) > 0)
                    .sorted(byJti)
                    .limit(limit)
                    .toList();
        }
    }),

    R7_1_READS_A_PAGE_THAT_IS_NOT_FULL(() -> new Broken() {
        @Override
        public synchronized List<TokenRecord> readExpired(StoreScope scope, TokenRecord after, int limit, Instant now) {
            return super.readExpired(scope, after, limit, now).stream()
                    .limit(Math.max(1, limit / 2))
                    .toList();
        }
    }),

    R7_1_READS_THE_EXPIRED_BY_UTF_16(() -> new Broken() {
        @Override
        public synchronized List<TokenRecord> readExpired(StoreScope scope, TokenRecord after, int limit, Instant now) {
            return super.readExpired(scope, null, Integer.MAX_VALUE, now).stream()
                    .filter(r -> after == null || BY_UTF_16.compare(r, after) > 0)
                    .sorted(BY_UTF_16)
                    .limit(limit)
                    .toList();
        }
    }),

    R7_2_KEEPS_THE_WATERMARKS_OF_TENANTS(() -> new Broken() {
        @Override
        public synchronized int expunge(StoreScope scope, int limit, Instant now) {
            Map<Key, Watermark> ofTenants = new HashMap<>(watermarks);
            ofTenants.keySet().removeIf(key -> key.tenant().isEmpty());
            watermarks.keySet().removeAll(ofTenants.keySet());
            int removed = super.expunge(scope, limit, now);
            watermarks.putAll(ofTenants);
            return removed;
        }
    }),

    R7_2_REMOVES_A_BATCH_OF_RECORDS_AND_A_BATCH_OF_WATERMARKS(() -> new Broken() {
        @Override
        public synchronized int expunge(StoreScope scope, int limit, Instant now) {
            Map<Key, Watermark> all = new HashMap<>(watermarks);
            watermarks.clear();
            int removed = super.expunge(scope, limit, now);
            watermarks.putAll(all);
            Map<Key, TokenRecord> left = new HashMap<>(records);
            records.clear();
            removed += super.expunge(scope, limit, now);
            records.putAll(left);
            return removed;
        }
    }),

    R7_2_TAKES_NO_NOTICE_OF_THE_BATCH_SIZE(() -> new Broken() {
        @Override
        public synchronized int expunge(StoreScope scope, int limit, Instant now) {
            return super.expunge(scope, Integer.MAX_VALUE, now);
        }
    }),

    R7_2_LEAVES_WATERMARKS_TO_THE_NEXT_RUN(() -> new Broken() {
        @Override
        public synchronized int expunge(StoreScope scope, int limit, Instant now) {
            if (garbage(scope, now).isEmpty()) {
                return super.expunge(scope, limit, now);
            }
            Map<Key, Watermark> all = Map.copyOf(watermarks);
            watermarks.clear();
            int removed = super.expunge(scope, limit, now);
            watermarks.putAll(all);
            return removed;
        }
    }),

    R7_2_IS_A_MILLISECOND_LATE(() -> new Broken() {
        @Override
        public synchronized int expunge(StoreScope scope, int limit, Instant now) {
            return super.expunge(scope, limit, now.minusMillis(1));
        }
    }),

    R7_2_KEEPS_WATERMARKS_FOR_EVER(() -> new Broken() {
        @Override
        public synchronized int expunge(StoreScope scope, int limit, Instant now) {
            Map<Key, Watermark> all = Map.copyOf(watermarks);
            watermarks.clear();
            int removed = super.expunge(scope, limit, now);
            watermarks.putAll(all);
            return removed;
        }
    }),

    R7_3_COUNTS_WHAT_ANOTHER_NODE_REMOVED(() -> new Broken() {
        @Override
        public int expunge(StoreScope scope, int limit, Instant now) {
            int seen;
            synchronized (this) {
                seen = Math.min(garbage(scope, now).size(), limit);
            }
            pause();
            return Math.max(seen, super.expunge(scope, limit, now));
        }
    }),

    R7_8_TELLS_ITS_SERVERS_TIME_IN_ANOTHER_ZONE(() -> new Broken() {
        @Override
        public Instant serverTime(StoreScope scope) {
            return Instant.now().plusSeconds(7200);
        }
    }),

    R7_3_LOCKS_ONLY_ITSELF_WHEN_IT_EXPUNGES(shared -> new LocksOnlyItself(shared) {
        @Override
        public synchronized int expunge(StoreScope scope, int limit, Instant now) {
            int seen = Math.min(shared.readExpired(scope, null, limit, now).size(), limit);
            pause();
            return Math.max(seen, super.expunge(scope, limit, now));
        }
    }),

    R8_6_LEAVES_A_THREAD_BEHIND(() -> new Broken() {
        @Override
        public synchronized StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
            if (record.jti().equals("by URL")) {
                var thread = new Thread(() -> LockSupport.parkNanos(30_000_000_000L), "left-behind");
                thread.setDaemon(true);
                thread.start();
            }
            return super.store(scope, record, now);
        }
    }),

    R8_2_LETS_AN_EXCEPTION_OF_ITS_DRIVER_PASS(() -> new Blockable() {
        @Override
        Object unanswered(Object... arguments) {
            throw new IllegalArgumentException("Connection reset");
        }
    }),

    R8_3_WAITS_AS_LONG_AS_ITS_SERVER(() -> new Blockable() {
        @Override
        Object unanswered(Object... arguments) {
            Race.awaitThat(() -> !isBlocked);
            throw new TokenStoreException("The server answers again, too late");
        }
    }),

    R9_2_TELLS_THE_JTI_THAT_IT_WAS_ASKED_FOR(() -> new Blockable() {
        @Override
        Object unanswered(Object... arguments) {
            throw new TokenStoreException("No answer", new IllegalStateException("get " + List.of(arguments)));
        }
    }),

    R8_6_ANSWERS_AFTER_IT_WAS_CLOSED(() -> new Broken() {
        @Override
        public synchronized void close() {
            records.clear();
        }
    }),

    R7_2_KEEPS_ENDED_SESSIONS_FOR_EVER(() -> new Broken() {
        @Override
        public synchronized int expunge(StoreScope scope, int limit, Instant now) {
            Map<Key, Instant> all = Map.copyOf(sessions);
            sessions.clear();
            int removed = super.expunge(scope, limit, now);
            sessions.putAll(all);
            return removed;
        }
    }),

    R10_1_SHARES_SESSIONS_AMONG_TENANTS(
            () -> new Broken() {
                private StoreScope shared(StoreScope scope) {
                    return new StoreScope(scope.domain(), "", scope.skew(), scope.deadline());
                }

                @Override
                public RevokeOutcome revokeSession(StoreScope scope, String session, Instant keepUntil, Instant now) {
                    return super.revokeSession(shared(scope), session, keepUntil, now);
                }

                @Override
                public Set<String> revokedSessions(StoreScope scope, Collection<String> asked, Instant now) {
                    return super.revokedSessions(shared(scope), asked, now);
                }
            },
            "R7.2",
            "R12.6"),

    R12_6_TELLS_NO_SINGLE_USE(
            () -> new Broken() {
                @Override
                void log(Change change, StoreScope scope, String id) {
                    if (!(change == Change.USED)) {
                        super.log(change, scope, id);
                    }
                }
            },
            "R12.2"),

    R12_6_TELLS_NO_SESSION(
            () -> new Broken() {
                @Override
                void log(Change change, StoreScope scope, String id) {
                    if (!(change == Change.SESSION)) {
                        super.log(change, scope, id);
                    }
                }
            },
            "R12.2"),

    R12_6_TELLS_NO_WATERMARK(
            () -> new Broken() {
                @Override
                void log(Change change, StoreScope scope, String id) {
                    if (!(change == Change.WATERMARK)) {
                        super.log(change, scope, id);
                    }
                }
            },
            "R12.2"),

    R12_6_TELLS_NO_TOKEN_THAT_WAS_NEVER_STORED(
            () -> new Broken() {
                @Override
                void log(Change change, StoreScope scope, String id) {
                    if (!(change == Change.REVOKED
                            && TokenRecord.REVOCATION.equals(
                                    records.get(key(scope, id)).purpose()))) {
                        super.log(change, scope, id);
                    }
                }
            },
            "R12.2"),

    R12_6_TELLS_NO_TOKEN_THAT_WAS_REVOKED_WITH_OTHERS(() -> new Broken() {
        @Override
        void log(Change change, StoreScope scope, String id) {
            if (!(change == Change.REVOKED_WITH_OTHERS)) {
                super.log(change, scope, id);
            }
        }
    }),

    R12_6_TELLS_ONE_TENANT_ALONE(() -> new Broken() {
        @Override
        void log(Change change, StoreScope scope, String id) {
            if (!(!scope.tenant().isEmpty())) {
                super.log(change, scope, id);
            }
        }
    }),

    R12_6_TELLS_A_REVOCATION_ONCE_AND_NO_EXTENSION(() -> new Broken() {
        private final Set<Key> logged = new HashSet<>();

        @Override
        void log(Change change, StoreScope scope, String id) {
            if (change == Change.WATERMARK || logged.add(key(scope, id))) {
                super.log(change, scope, id);
            }
        }
    }),

    R12_6_TELLS_A_WATERMARK_ONCE(() -> new Broken() {
        private final Set<Key> logged = new HashSet<>();

        @Override
        void log(Change change, StoreScope scope, String id) {
            if (change != Change.WATERMARK || logged.add(key(scope, id))) {
                super.log(change, scope, id);
            }
        }
    }),

    R12_6_TELLS_NOTHING_OF_BEFORE_THE_FIRST_POLL(() -> new Broken() {
        @Override
        synchronized List<Entry> entries(StoreScope scope, String after) {
            return after == null ? List.of() : super.entries(scope, after);
        }
    }),

    R12_6_TELLS_AN_EARLIER_END(() -> new Broken() {
        @Override
        synchronized void tell(RevocationFeed.Sink sink, Entry entry) {
            TokenRecord record = records.get(entry.key());
            if (record == null) {
                super.tell(sink, entry);
            } else {
                sink.revoked(
                        entry.key().tenant(),
                        entry.key().id(),
                        record.expiresAt().minusMillis(1));
            }
        }
    }),

    R12_6_TELLS_LIVE_TOKENS(() -> new Broken() {
        @Override
        public synchronized StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
            StoreOutcome outcome = super.store(scope, record, now);
            log(Change.REVOKED, scope, record.jti());
            return outcome;
        }
    }),

    // What is revoked between the reading of the log and the reading of its end is never told.
    R12_6_TAKES_THE_POSITION_AFTER_READING(() -> new Broken() {
        @Override
        String follow(StoreScope scope, String after, RevocationFeed.Sink sink, Instant now) {
            entries(scope, after).forEach(entry -> tell(sink, entry));
            for (int i = 0; i < 100; i++) {
                Thread.yield();
            }
            return Integer.toString(end());
        }
    }),

    R13_1_KEEPS_NO_SESSIONS(
            () -> new Broken() {
                @Override
                public StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
                    return super.store(scope, with(record, null, record.successor()), now);
                }
            },
            "R13.3",
            "R13.4",
            "R13.5",
            "R14.1",
            "R14.2",
            "R14.3",
            "R14.4",
            "R14.5",
            "R14.6"),

    R13_2_SHORTENS_THE_REVOCATION_OF_A_SESSION(() -> new Broken() {
        @Override
        public synchronized RevokeOutcome revokeSession(
                StoreScope scope, String session, Instant keepUntil, Instant now) {
            RevokeOutcome outcome = super.revokeSession(scope, session, keepUntil, now);
            sessions.put(key(scope, session), keepUntil);
            return outcome;
        }
    }),

    R13_2_READS_BEFORE_IT_REVOKES_A_SESSION(() -> new Broken() {
        @Override
        public RevokeOutcome revokeSession(StoreScope scope, String session, Instant keepUntil, Instant now) {
            boolean isRevoked = !revokedSessions(scope, Set.of(session), now).isEmpty();
            pause();
            super.revokeSession(scope, session, keepUntil, now);
            return isRevoked ? RevokeOutcome.ALREADY_REVOKED : RevokeOutcome.REVOKED;
        }
    }),

    R13_2_LOCKS_ONLY_ITSELF_WHEN_IT_REVOKES_A_SESSION(shared -> new LocksOnlyItself(shared) {
        @Override
        public synchronized RevokeOutcome revokeSession(
                StoreScope scope, String session, Instant keepUntil, Instant now) {
            boolean isRevoked =
                    !super.revokedSessions(scope, Set.of(session), now).isEmpty();
            pause();
            super.revokeSession(scope, session, keepUntil, now);
            return isRevoked ? RevokeOutcome.ALREADY_REVOKED : RevokeOutcome.REVOKED;
        }
    }),

    R13_2_TAKES_A_SUBJECT_FOR_A_SESSION(
            () -> new Broken() {
                @Override
                public synchronized Set<String> revokedSessions(
                        StoreScope scope, Collection<String> asked, Instant now) {
                    Set<String> revoked = new HashSet<>(super.revokedSessions(scope, asked, now));
                    asked.stream()
                            .filter(session -> watermark(scope, session) != null)
                            .forEach(revoked::add);
                    return revoked;
                }
            },
            "R7.2",
            "R10.1",
            "R12.6"),

    R13_2_EXPUNGES_A_SESSION_THAT_WAS_REVOKED_ANEW(() -> new Broken() {
        @Override
        public int expunge(StoreScope scope, int limit, Instant now) {
            List<Key> ended;
            synchronized (this) {
                ended = sessions.entrySet().stream()
                        .filter(e -> e.getKey().domain().equals(scope.domain()))
                        .filter(e -> !now.isBefore(e.getValue()))
                        .map(Map.Entry::getKey)
                        .toList();
            }
            pause();
            synchronized (this) {
                int removed = 0;
                for (Key key : ended) {
                    if (removed < limit && sessions.remove(key) != null) {
                        removed++;
                    }
                }
                return removed == limit ? removed : removed + super.expunge(scope, limit - removed, now);
            }
        }
    }),

    R13_3_LEAVES_THE_SESSION_OUT_OF_A_CHECK(
            () -> new Broken() {
                @Override
                public StoredState state(StoreScope scope, String jti, String subject, String session, Instant now) {
                    return super.state(scope, jti, subject, null, now);
                }
            },
            "R13.2",
            "R14.1",
            "R14.2",
            "R14.4",
            "R14.5",
            "R14.6"),

    R13_4_KNOWS_OF_SESSIONS_IN_CHECKS_ALONE(
            () -> new Broken() {
                @Override
                public Set<String> revokedSessions(StoreScope scope, Collection<String> asked, Instant now) {
                    super.revokedSessions(scope, asked, now);
                    return Set.of();
                }

                @Override
                public StoredState state(StoreScope scope, String jti, String subject, String session, Instant now) {
                    StoredState state = super.state(scope, jti, subject, null, now);
                    return new StoredState(
                            state.record(),
                            state.watermark(),
                            session != null
                                    && !super.revokedSessions(scope, Set.of(session), now)
                                            .isEmpty());
                }
            },
            "R2.5",
            "R2.7",
            "R5.1",
            "R7.2",
            "R9.3",
            "R13.2",
            "R13.3",
            "R14.2",
            "R14.3",
            "R14.4",
            "R14.6"),

    R13_5_LISTS_RECORDS_WITHOUT_THEIR_SESSION(
            () -> new Broken() {
                @Override
                public synchronized List<TokenRecord> listed(
                        StoreScope scope, String subject, TokenRecord after, int limit, Instant now) {
                    return super.listed(scope, subject, after, limit, now).stream()
                            .map(record -> with(record, null, record.successor()))
                            .toList();
                }
            },
            "R13.1",
            "R13.4",
            "R2.7"),

    R14_1_FORGETS_THE_SUCCESSOR(
            () -> new Broken() {
                @Override
                public synchronized Consumption use(
                        StoreScope scope, String jti, String subject, String purpose, String successor, Instant now) {
                    return super.use(scope, jti, subject, purpose, null, now);
                }
            },
            "R14.2",
            "R14.3",
            "R14.5",
            "R14.6"),

    R14_1_WRITES_THE_SUCCESSOR_LATER(
            () -> new Broken() {
                @Override
                public Consumption use(
                        StoreScope scope, String jti, String subject, String purpose, String successor, Instant now) {
                    Consumption answer = super.use(scope, jti, subject, purpose, null, now);
                    if (successor == null || !(answer instanceof Consumed consumed)) {
                        return answer;
                    }
                    pause();
                    change(scope, jti, r -> with(r, r.session(), successor));
                    return new Consumed(
                            with(consumed.record(), consumed.record().session(), successor));
                }
            },
            "R14.3",
            "R14.6"),

    R14_2_LEAVES_THE_SUCCESSOR_OUT_OF_A_CHECK(
            () -> new Broken() {
                @Override
                public StoredState state(StoreScope scope, String jti, String subject, String session, Instant now) {
                    StoredState state = super.state(scope, jti, subject, session, now);
                    TokenRecord r = state.record();
                    return r == null
                            ? state
                            : new StoredState(with(r, r.session(), null), state.watermark(), state.isSessionRevoked());
                }
            },
            "R14.1",
            "R14.3",
            "R14.5"),

    R14_6_FORGETS_THE_SUCCESSOR_WHEN_IT_REVOKES(() -> new Broken() {
        @Override
        public synchronized RevokeOutcome revoke(
                StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
            RevokeOutcome outcome = super.revoke(scope, revocation, keepUntil, now);
            change(scope, revocation.jti(), r -> with(r, r.session(), null));
            return outcome;
        }
    }),

    R10_1_JOINS_TENANT_AND_SESSION_BY_A_COLON(
            () -> new Broken() {
                private StoreScope shared(StoreScope scope) {
                    return new StoreScope(scope.domain(), "", scope.skew(), scope.deadline());
                }

                @Override
                public RevokeOutcome revokeSession(StoreScope scope, String session, Instant keepUntil, Instant now) {
                    return super.revokeSession(shared(scope), scope.tenant() + ":" + session, keepUntil, now);
                }

                @Override
                public Set<String> revokedSessions(StoreScope scope, Collection<String> asked, Instant now) {
                    Set<String> revoked = new HashSet<>(asked);
                    revoked.removeIf(
                            session -> super.revokedSessions(shared(scope), Set.of(scope.tenant() + ":" + session), now)
                                    .isEmpty());
                    return revoked;
                }
            },
            "R12.2",
            "R12.6"),

    /** Its provider is {@link BrokenStoreProvider}. */
    R11_5_TAKES_ANY_PARAMETER(Broken::new),

    R9_1_CUTS_SUBJECTS_OFF(() -> new Broken() {
        @Override
        public synchronized List<TokenRecord> listed(
                StoreScope scope, String subject, TokenRecord after, int limit, Instant now) {
            return super.listed(scope, subject.substring(0, Math.min(subject.length(), 255)), after, limit, now);
        }
    }),

    R9_2_SHOWS_ITS_RECORDS(() -> new Broken() {
        @Override
        public synchronized String toString() {
            return "Broken" + records.keySet();
        }
    }),

    R9_3_FOLDS_CASE(() -> new Broken() {
        @Override
        Key key(StoreScope scope, String id) {
            return super.key(scope, id.toLowerCase(Locale.ROOT));
        }
    }),

    R9_3_TRIMS_TRAILING_SPACES(() -> new Broken() {
        @Override
        Key key(StoreScope scope, String id) {
            return super.key(scope, id.stripTrailing());
        }
    }),

    R9_3_NORMALISES_UNICODE(() -> new Broken() {
        @Override
        Key key(StoreScope scope, String id) {
            return super.key(scope, Normalizer.normalize(id, Normalizer.Form.NFKC));
        }
    }),

    R10_1_DROPS_PUNCTUATION_FROM_TENANTS(() -> new Broken() {
        @Override
        Key key(StoreScope scope, String id) {
            return new Key(scope.domain(), scope.tenant().replaceAll("[:/*]", ""), id);
        }
    }),

    R10_1_REVOKES_ALL_STORED_OF_A_JTI_IN_EVERY_TENANT(
            () -> new Broken() {
                @Override
                public synchronized int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
                    List<TokenRecord> batch = listed(scope, subject, null, limit, now);
                    for (TokenRecord record : batch) {
                        records.replaceAll((key, r) ->
                                key.domain().equals(scope.domain()) && key.id().equals(record.jti())
                                        ? r.revoked(now, r.expiresAt())
                                        : r);
                    }
                    return batch.size();
                }
            },
            "R12.6"),

    R10_1_READS_THE_EXPIRED_OF_ALL_TENANTS(() -> new Broken() {
        @Override
        public synchronized List<TokenRecord> readExpired(StoreScope scope, TokenRecord after, int limit, Instant now) {
            super.readExpired(scope, after, limit, now);
            return garbage(scope, now).stream()
                    .map(records::get)
                    .filter(r -> after == null || TokenRecord.BY_EXPIRY.compare(r, after) > 0)
                    .sorted(TokenRecord.BY_EXPIRY)
                    .limit(limit)
                    .toList();
        }
    });

    /** To Java's strings, what is above U+FFFF comes before U+E000. */
    private static final Comparator<TokenRecord> BY_UTF_16 =
            Comparator.comparing(TokenRecord::expiresAt).thenComparing(TokenRecord::jti);

    private final Supplier<List<TokenStore>> maker;
    private final Set<String> alsoBlamed;

    /** A store in one process: two nodes have the same object. */
    BrokenStores(Supplier<TokenStore> maker, String... alsoBlamed) {
        this.maker = () -> Collections.nCopies(2, maker.get());
        this.alsoBlamed = Set.of(alsoBlamed);
    }

    /** A store of which each node has an object of its own, on records that they share. */
    BrokenStores(Function<ModelTokenStore, TokenStore> maker, String... alsoBlamed) {
        this.maker = () -> {
            var shared = new ModelTokenStore();
            return List.of(maker.apply(shared), maker.apply(shared));
        };
        this.alsoBlamed = Set.of(alsoBlamed);
    }

    /** The objects of two nodes. */
    List<TokenStore> newStores() {
        return maker.get();
    }

    /** {@code R3.2} of {@code R3_2_…}. */
    String rule() {
        String[] parts = name().split("_", 3);
        return parts[0] + "." + parts[1];
    }

    /** Rules that say, of this mistake, the same thing as {@link #rule}. */
    Set<String> alsoBlamed() {
        return alsoBlamed;
    }

    private static class Broken extends ModelTokenStore {
        final synchronized void change(StoreScope scope, String jti, Function<TokenRecord, TokenRecord> change) {
            records.computeIfPresent(key(scope, jti), (key, record) -> change.apply(record));
        }

        static TokenRecord with(TokenRecord r, String session, String successor) {
            return new TokenRecord(
                    r.jti(),
                    r.subject(),
                    r.purpose(),
                    r.issuedAt(),
                    r.expiresAt(),
                    r.extraData(),
                    r.createdAt(),
                    r.updatedAt(),
                    r.revokedAt(),
                    session,
                    successor);
        }

        static TokenRecord revoked(TokenRecord r, Instant updatedAt, Instant revokedAt) {
            return new TokenRecord(
                    r.jti(),
                    r.subject(),
                    r.purpose(),
                    r.issuedAt(),
                    r.expiresAt(),
                    r.extraData(),
                    r.createdAt(),
                    updatedAt,
                    revokedAt,
                    r.session(),
                    r.successor());
        }

        final List<Key> garbage(StoreScope scope, Instant now) {
            return records.entrySet().stream()
                    .filter(e -> e.getKey().domain().equals(scope.domain())
                            && scope.isPastRetention(e.getValue().expiresAt(), now))
                    .sorted(Map.Entry.comparingByValue(TokenRecord.BY_EXPIRY))
                    .map(Map.Entry::getKey)
                    .toList();
        }
    }

    private static final AtomicInteger PAUSING = new AtomicInteger();

    /** Long enough for another one of a race to come in between; and none where there is no race. */
    private static void pause() {
        if (Thread.currentThread().getName().startsWith("pool-")) {
            PAUSING.incrementAndGet();
            for (int i = 0; i < 20 && PAUSING.get() < 2; i++) {
                Thread.yield();
            }
            PAUSING.decrementAndGet();
        }
    }

    /**
     * One at a time inside this object; and no order among several. Each verb of the shared store is atomic, and two of them
     * are not.
     */
    private static class LocksOnlyItself extends DelegatingStore {
        private final ModelTokenStore shared;

        LocksOnlyItself(ModelTokenStore shared) {
            super(shared);
            this.shared = shared;
        }

        final void put(StoreScope scope, TokenRecord record) {
            synchronized (shared) {
                shared.records.put(shared.key(scope, record.jti()), record);
            }
        }

        @Override
        public synchronized StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
            return super.store(scope, record, now);
        }

        @Override
        public synchronized RevokeOutcome revoke(
                StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
            return super.revoke(scope, revocation, keepUntil, now);
        }

        @Override
        public synchronized Watermarked<Consumption> consume(
                StoreScope scope, String jti, String subject, String purpose, String successor, Instant now) {
            return super.consume(scope, jti, subject, purpose, successor, now);
        }

        @Override
        public synchronized int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
            return super.revokeStored(scope, subject, limit, now);
        }

        @Override
        public synchronized int expunge(StoreScope scope, int limit, Instant now) {
            return super.expunge(scope, limit, now);
        }
    }

    /** A store whose server can be blocked; it asks the server for these verbs only. */
    abstract static class Blockable extends Broken {
        volatile boolean isBlocked;

        /** What the store does when no answer comes. */
        abstract Object unanswered(Object... arguments);

        @Override
        public TokenRecord found(StoreScope scope, String jti, Instant now) {
            return isBlocked ? (TokenRecord) unanswered(jti) : super.found(scope, jti, now);
        }
    }

    private abstract static class ChangesExtraData extends Broken {
        abstract Object changed(Object value);

        @Override
        public StoreOutcome store(StoreScope scope, TokenRecord r, Instant now) {
            Map<String, Object> extraData = r.extraData() == null ? null : new HashMap<>(r.extraData());
            if (extraData != null) {
                extraData.replaceAll((name, value) -> changed(value));
            }
            return super.store(
                    scope,
                    new TokenRecord(
                            r.jti(),
                            r.subject(),
                            r.purpose(),
                            r.issuedAt(),
                            r.expiresAt(),
                            extraData == null ? null : ExtraData.of(extraData),
                            r.createdAt(),
                            r.updatedAt(),
                            r.revokedAt(),
                            r.session(),
                            r.successor()),
                    now);
        }
    }
}
