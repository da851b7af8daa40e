-- The log: events in one gapless order, and what an append compares and locks.

-- The application's role is in this group; its login is made by whoever runs the cluster. Roles belong to the whole
-- cluster, so that another database's migration may make it at the same moment; and where one role does everything, it
-- may not be allowed to make any, nor does it need to.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hansard_application')
       AND EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolcreaterole)) THEN
        CREATE ROLE hansard_application NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END $$;

-- Grants to the application's group, where there is one.
CREATE PROCEDURE grant_to_application(privileges text, object text) LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'hansard_application') THEN
        EXECUTE format('GRANT %s ON %s TO hansard_application', privileges, object);
    END IF;
END $$;

-- The columns of postgres-es, and ours. Ids are compared byte by byte: a locale's order would only cost time.
-- Payload and metadata are JSON in the canonical form of RFC 8785 and are kept byte for byte, for they are hashed.
CREATE TABLE events (
    position bigint NOT NULL,
    event_id uuid NOT NULL,
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    event_type text NOT NULL,
    event_version text NOT NULL,
    payload json NOT NULL,
    metadata json NOT NULL,
    recorded_at timestamptz NOT NULL,
    leaf_hash bytea NOT NULL,
    -- Of a message.sent: its rank in its conversation. Not hashed: it follows from the log.
    message_sequence bigint,
    PRIMARY KEY (position)
) PARTITION BY RANGE (position);

-- A stream is read by its id between the first and the last position that its row in `streams` names, so that other
-- partitions aren't opened. Ids of UUIDv7 come nearly in order, which keeps the inserts at the right edge of the tree.
CREATE INDEX events_stream ON events (aggregate_id, position);

CREATE FUNCTION refuse_change_of_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

-- For statements, so that one that hits no row is refused too; for rows, so that a replication worker's change is.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_log();
CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_log();
ALTER TABLE events ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE events ENABLE ALWAYS TRIGGER append_only_rows;

-- One row: where the log ends. Locked last by every append and held to its commit, so that the order in which positions
-- are handed out is the order in which they are committed.
CREATE TABLE head (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    log_id uuid NOT NULL,
    -- Raised whenever data keys are destroyed: an append made with older knowledge of them is refused.
    key_generation bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO head (position, recorded_at, log_id, key_generation) VALUES (0, 'epoch', gen_random_uuid(), 0);

-- A row a stream: how far it goes and where. A conversation's also counts its messages.
CREATE TABLE streams (
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    first_position bigint NOT NULL,
    last_position bigint NOT NULL,
    messages bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (aggregate_type, aggregate_id)
) WITH (fillfactor = 80);

-- What must be unique or found across streams. Changed only by the append that changes what it speaks of.
CREATE TABLE claims (
    kind text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    value text NOT NULL,
    position bigint NOT NULL,
    expires_at timestamptz,
    PRIMARY KEY (kind, key)
) WITH (fillfactor = 80);

-- Whose personal fields are sealed with what, each key wrapped by the epoch key that lies outside the database.
CREATE TABLE data_keys (
    key_id text COLLATE "C" PRIMARY KEY,
    person uuid NOT NULL,
    conversation uuid,
    quarter text,
    wrapped bytea NOT NULL,
    epoch text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (person, conversation, quarter),
    CHECK ((conversation IS NULL) = (quarter IS NULL))
);

CALL grant_to_application('INSERT, SELECT', 'events');
CALL grant_to_application('SELECT, UPDATE', 'head');
CALL grant_to_application('SELECT, INSERT, UPDATE', 'streams');
CALL grant_to_application('SELECT, INSERT, UPDATE, DELETE', 'claims');
CALL grant_to_application('SELECT, INSERT, UPDATE, DELETE', 'data_keys');
