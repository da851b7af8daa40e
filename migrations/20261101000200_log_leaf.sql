-- The Merkle leaf of an event: what is hashed, for the append that hashes it and the auditor who checks.

-- RFC 8785 orders an object's keys; they are written in that order here. Payload and metadata are canonical already, and
-- to_json escapes text just as RFC 8785 asks. Inlined into the statements that use it.
CREATE FUNCTION leaf_of_event(
    event_id uuid, aggregate_type text, aggregate_id text, sequence bigint, event_type text, event_version text,
    payload text, metadata text, recorded_at timestamptz
) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT convert_to(
        '{"aggregateId":' || to_json(aggregate_id)
        || ',"aggregateType":' || to_json(aggregate_type)
        || ',"eventId":"' || event_id
        || '","metadata":' || metadata
        || ',"payload":' || payload
        || ',"recordedAt":"' || to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
        || '","sequence":' || sequence
        || ',"type":' || to_json(event_type)
        || ',"version":' || event_version
        || '}', 'UTF8')
$$;

-- RFC 6962, 2.1: a leaf's hash is SHA-256 of a zero byte and the leaf.
CREATE FUNCTION hash_of_leaf(leaf bytea) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT sha256('\x00'::bytea || leaf)
$$;

CREATE VIEW event_leaf AS
SELECT position,
       leaf_of_event(event_id, aggregate_type, aggregate_id, sequence, event_type, event_version, payload::text,
                     metadata::text, recorded_at) AS leaf,
       leaf_hash
FROM events;

CALL grant_to_application('SELECT', 'event_leaf');
