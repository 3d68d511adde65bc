package dev.curfew;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;

/**
 * An action of a {@link TokenResource}: its default name, and the types of its argument and its answer. The name can be
 * changed ({@link TokenResource.Builder#actionName}), and the action can be wrapped or replaced
 * ({@link TokenResource.Builder#intercept}).
 *
 * @param <A> the type of the argument
 * @param <R> the type of the answer
 */
public final class TokenAction<A, R> {
    private static final List<TokenAction<?, ?>> ALL = new ArrayList<>();

    /** {@link TokenResource#storeToken}. */
    public static final TokenAction<Storing, StoreOutcome> STORE_TOKEN =
            new TokenAction<>("store_token", Storing.class, Actions::storeToken);

    /** {@link TokenResource#getToken}. */
    public static final TokenAction<Lookup, Optional<TokenRecord>> GET_TOKEN =
            new TokenAction<>("get_token", Lookup.class, Actions::getToken);

    /** {@link TokenResource#revokeToken}. */
    public static final TokenAction<Token, RevokeOutcome> REVOKE_TOKEN =
            new TokenAction<>("revoke_token", Token.class, Actions::revokeToken);

    /** {@link TokenResource#revokeJti}. */
    public static final TokenAction<JtiRevocation, RevokeOutcome> REVOKE_JTI =
            new TokenAction<>("revoke_jti", JtiRevocation.class, Actions::revokeJti);

    /** {@link TokenResource#revokeStoredForSubject}; the purpose is not looked at. */
    public static final TokenAction<Lookup, RevokeOutcome> REVOKE_STORED_FOR_SUBJECT =
            new TokenAction<>("revoke_stored_for_subject", Lookup.class, Actions::revokeStoredForSubject);

    /** {@link TokenResource#revokeAllStoredForSubject}, in all its forms. */
    public static final TokenAction<Selection, Long> REVOKE_ALL_STORED_FOR_SUBJECT =
            new TokenAction<>("revoke_all_stored_for_subject", Selection.class, Actions::revokeAllStoredForSubject);

    /** {@link TokenResource#revokeSession}: of a session. */
    public static final TokenAction<String, RevokeOutcome> REVOKE_SESSION =
            new TokenAction<>("revoke_session", String.class, Actions::revokeSession);

    /** {@link TokenResource#revokeSubject}: of a subject. */
    public static final TokenAction<String, Instant> REVOKE_SUBJECT =
            new TokenAction<>("revoke_subject", String.class, Actions::revokeSubject);

    /** {@link TokenResource#isRevoked}: of jtis; the answer has those that are revoked. */
    public static final TokenAction<Set<String>, Set<String>> IS_REVOKED =
            new TokenAction<>("revoked?", setOfStrings(), Actions::isRevoked);

    /** {@link TokenResource#check}. */
    public static final TokenAction<Check, TokenStatus> CHECK = new TokenAction<>("check", Check.class, Actions::check);

    /** {@link TokenResource#consume}. */
    public static final TokenAction<Lookup, Consumption> CONSUME =
            new TokenAction<>("consume", Lookup.class, Actions::consume);

    /** {@link TokenResource#rotate}. */
    public static final TokenAction<Rotating, Rotation> ROTATE =
            new TokenAction<>("rotate", Rotating.class, Actions::rotate);

    /** {@link TokenResource#storeConfirmationChanges}. */
    public static final TokenAction<Storing, StoreOutcome> STORE_CONFIRMATION_CHANGES =
            new TokenAction<>("store_confirmation_changes", Storing.class, Actions::storeConfirmationChanges);

    /** {@link TokenResource#getConfirmationChanges}. */
    public static final TokenAction<Lookup, Optional<ExtraData>> GET_CONFIRMATION_CHANGES =
            new TokenAction<>("get_confirmation_changes", Lookup.class, Actions::getConfirmationChanges);

    /** {@link TokenResource#consumeConfirmationChanges}. */
    public static final TokenAction<Lookup, Consumption> CONSUME_CONFIRMATION_CHANGES =
            new TokenAction<>("consume_confirmation_changes", Lookup.class, Actions::consumeConfirmationChanges);

    /** {@link TokenResource#inspect}: of a jti. */
    public static final TokenAction<String, Optional<TokenRecord>> INSPECT =
            new TokenAction<>("inspect", String.class, Actions::inspect);

    /** {@link TokenResource#listTokens}. */
    public static final TokenAction<Page, List<TokenRecord>> LIST_TOKENS =
            new TokenAction<>("list_tokens", Page.class, Actions::listTokens);

    /** {@link TokenResource#readExpired}; the subject is not looked at. */
    public static final TokenAction<Page, List<TokenRecord>> READ_EXPIRED =
            new TokenAction<>("read_expired", Page.class, Actions::readExpired);

    /** {@link TokenResource#expungeExpired(ExpungePace)}, by hand or by the {@link Expunger}. */
    public static final TokenAction<ExpungePace, ExpungeReport> EXPUNGE_EXPIRED =
            new TokenAction<>("expunge_expired", ExpungePace.class, Actions::expungeExpired);

    private final String defaultName;
    private final Class<A> argumentType;
    private final BiFunction<Actions, ActionCall<A>, R> meaning;

    private TokenAction(String defaultName, Class<A> argumentType, BiFunction<Actions, ActionCall<A>, R> meaning) {
        this.defaultName = defaultName;
        this.argumentType = argumentType;
        this.meaning = meaning;
        ALL.add(this);
    }

    @SuppressWarnings("unchecked")
    private static Class<Set<String>> setOfStrings() {
        return (Class<Set<String>>) (Class<?>) Set.class;
    }

    /** All actions, in the order in which they stand here; immutable. */
    public static List<TokenAction<?, ?>> values() {
        return Collections.unmodifiableList(ALL);
    }

    /** The name of the action where it is not changed. */
    public String defaultName() {
        return defaultName;
    }

    /** Which type the argument has. */
    public Class<A> argumentType() {
        return argumentType;
    }

    R act(Actions actions, ActionCall<A> call) {
        return meaning.apply(actions, call);
    }

    @Override
    public String toString() {
        return defaultName;
    }

    /**
     * A token to store.
     *
     * @param token the token
     * @param purpose what the token is for
     * @param extraData the extra data, or {@code null}
     */
    public record Storing(
            Token token, String purpose, @Nullable ExtraData extraData) {
        /** Checks the limits. */
        public Storing {
            Limits.present("token", token);
            Limits.purpose(purpose);
            extraData = extraData == null ? null : ExtraData.of(extraData);
        }

        @Override
        public String toString() {
            return "Storing[purpose=" + purpose + "]";
        }
    }

    /**
     * A stored token to look for. A record of another subject or purpose is not the one.
     *
     * @param jti the token's id
     * @param subject whose token it is, or {@code null} where that does not matter
     * @param purpose what the token is for, or {@code null} where that does not matter
     */
    public record Lookup(
            String jti, @Nullable String subject, @Nullable String purpose) {
        /** Checks the limits. */
        public Lookup {
            Limits.jti(jti);
            if (subject != null) {
                Limits.subject(subject);
            }
            if (purpose != null) {
                Limits.purpose(purpose);
            }
        }

        static Lookup of(Token token, @Nullable String purpose) {
            return new Lookup(Limits.present("token", token).jti(), token.subject(), purpose);
        }

        boolean matches(TokenRecord record) {
            return (subject == null || subject.equals(record.subject()))
                    && (purpose == null || purpose.equals(record.purpose()));
        }

        @Override
        public String toString() {
            return "Lookup[purpose=" + purpose + "]";
        }
    }

    /**
     * A jti to revoke.
     *
     * @param jti the token's id
     * @param expiresAt when the token expires, or {@code null} where that is not known
     */
    public record JtiRevocation(String jti, @Nullable Instant expiresAt) {
        /** Checks the limits, and rounds the time up to milliseconds. */
        public JtiRevocation {
            Limits.jti(jti);
            expiresAt = expiresAt == null ? null : Times.roundedUp("expiresAt", expiresAt);
        }

        @Override
        public String toString() {
            return "JtiRevocation[expiresAt=" + expiresAt + "]";
        }
    }

    /**
     * A token to check.
     *
     * @param token the token
     * @param purpose what the token must be stored for, where presence is required
     * @param isInStore whether the store is asked even where a local replica has the answer
     */
    public record Check(Token token, String purpose, boolean isInStore) {
        /** Checks the limits. */
        public Check {
            Limits.present("token", token);
            Limits.purpose(purpose);
        }
    }

    /**
     * Some of a subject's stored tokens.
     *
     * @param subject whose tokens
     * @param exceptSession the session whose tokens are left out, or {@code null}
     * @param purposes for which purposes, or an empty set for all; a copy is kept
     */
    public record Selection(String subject, @Nullable String exceptSession, Set<String> purposes) {
        /** Checks the limits. */
        public Selection {
            Limits.subject(subject);
            if (exceptSession != null) {
                Limits.session(exceptSession);
            }
            Limits.present("purposes", purposes).forEach(Limits::purpose);
            purposes = Set.copyOf(purposes);
        }

        boolean isAll() {
            return exceptSession == null && purposes.isEmpty();
        }

        boolean matches(TokenRecord record) {
            return (exceptSession == null || !exceptSession.equals(record.session()))
                    && (purposes.isEmpty() || purposes.contains(record.purpose()));
        }

        @Override
        public String toString() {
            return "Selection[purposes=" + purposes + "]";
        }
    }

    /**
     * A token to use, and the one to store in its place.
     *
     * @param presented the token that its holder has sent
     * @param purpose what both are for
     * @param successor a new token of the same subject and session
     * @param extraData the successor's extra data, or {@code null}
     */
    public record Rotating(
            Token presented,
            String purpose,
            Token successor,
            @Nullable ExtraData extraData) {
        /**
         * Checks the limits.
         *
         * @throws IllegalArgumentException also if the two have no session, or are of two sessions or of two subjects, or are
         *     the same token
         */
        public Rotating {
            Limits.present("presented", presented);
            Limits.purpose(purpose);
            Limits.present("successor", successor);
            if (presented.session() == null || !presented.session().equals(successor.session())) {
                throw new IllegalArgumentException("presented and successor must be of the same session, and have one");
            } else if (!presented.subject().equals(successor.subject())) {
                throw new IllegalArgumentException("presented and successor must be of the same subject");
            } else if (presented.jti().equals(successor.jti())) {
                throw new IllegalArgumentException("successor must be another token than presented");
            }
            extraData = extraData == null ? null : ExtraData.of(extraData);
        }

        @Override
        public String toString() {
            return "Rotating[purpose=" + purpose + "]";
        }
    }

    /**
     * A page of records.
     *
     * @param subject whose tokens, or {@code null} for those of all subjects
     * @param limit how many records at most, from 1 to 1,000
     * @param after the last record of the page before, or {@code null} for the first page
     */
    public record Page(
            @Nullable String subject, int limit, @Nullable TokenRecord after) {
        private static final int LARGEST = 1000;

        /** Checks the limits. */
        public Page {
            if (subject != null) {
                Limits.subject(subject);
            }
            if (limit < 1 || limit > LARGEST) {
                throw new IllegalArgumentException("limit must be between 1 and " + LARGEST + ", not " + limit);
            }
            if (after != null) {
                Limits.jti(after.jti());
                Times.inRange("expiresAt", after.expiresAt());
            }
        }

        @Override
        public String toString() {
            return "Page[limit=" + limit + "]";
        }
    }
}
