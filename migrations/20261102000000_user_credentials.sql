-- What is secret of people: password hashes, sessions and the tokens that renew them. None of it is ever an event, so
-- none of it can be rebuilt from the log. Times come from the caller's clock.

CREATE TABLE credential (
    user_id       uuid        PRIMARY KEY,
    -- A PHC string: algorithm, parameters, salt and hash.
    password_hash text        NOT NULL,
    changed_at    timestamptz NOT NULL
);

CREATE TABLE session (
    id            uuid        PRIMARY KEY,
    user_id       uuid        NOT NULL,
    -- Sealed under the person's key.
    device        text,
    address       text,
    created_at    timestamptz NOT NULL,
    last_used_at  timestamptz NOT NULL,
    -- When its last refresh token expires; each refresh moves it on.
    expires_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    -- Why it ended, for as long as the event that says so may not be in the log: the row ends first, so that a crash
    -- in between leaves a session that is over and a fact still to be told, never the other way round.
    untold_reason text,
    CHECK (untold_reason IS NULL OR ended_at IS NOT NULL)
);
CREATE INDEX session_of_user ON session (user_id) WHERE ended_at IS NULL;
CREATE INDEX session_untold ON session (ended_at) WHERE untold_reason IS NOT NULL;
CREATE INDEX session_expired ON session (expires_at);

CREATE TABLE refresh_token (
    -- SHA-256 of the token; the token itself is with its owner only.
    token_hash     bytea       PRIMARY KEY,
    session_id     uuid        NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    issued_at      timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    used_at        timestamptz,
    -- The token that it was exchanged for.
    successor_hash bytea
);
CREATE INDEX refresh_token_of_session ON refresh_token (session_id);

GRANT SELECT, INSERT, UPDATE, DELETE ON credential, session, refresh_token TO hansard_application;
