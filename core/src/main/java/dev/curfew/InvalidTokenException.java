package dev.curfew;

/** A token that {@link Token#peek} could not read: malformed, or without a claim that Curfew needs. */
public final class InvalidTokenException extends CurfewException {
    private static final long serialVersionUID = 1;

    private final String claim;

    InvalidTokenException(String claim, String reason) {
        super(
                claim.equals("token")
                        ? "The token is not a readable JWT: " + reason
                        : "The token's claim '" + claim + "' cannot be used: " + reason,
                null);
        this.claim = claim;
    }

    /**
     * The claim at fault: {@code jti}, {@code sub}, {@code exp} or {@code iat}, or the claim that {@link PeekedJwt} was told to
     * read in place of one of them; {@code token} for the whole.
     */
    public String claim() {
        return claim;
    }
}
