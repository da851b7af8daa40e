-- States of long streams as they stood at a sequence. Disposable: any row may be deleted at any time, and a crash of the
-- server may take them all, so that writing them costs no write-ahead log. Personal fields are sealed as in the events.
CREATE UNLOGGED TABLE snapshots (
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    -- Which source the state is of; processes of two versions side by side each keep their own.
    form bigint NOT NULL,
    -- Of the last event that is in it, and its place in the log.
    sequence bigint NOT NULL,
    position bigint NOT NULL,
    message_sequence bigint,
    state text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (aggregate_type, aggregate_id, form)
);

CALL grant_to_application('SELECT, INSERT, UPDATE, DELETE', 'snapshots');
