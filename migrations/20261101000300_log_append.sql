-- Appending: one call, one transaction, a verdict for each of many appends.

-- The caller has put the appends of a batch together so that no two of them write one stream, change one claim, or write
-- what the other guards; the arrays of one letter belong together:
--   a  an append: its number of events, and the key generation it knows (null where it uses no keys)
--   l  a row of `streams` that is relied on, in byte order of type and id, each once
--   r  a run of neighbours in l to be locked alike (streams that the caller takes for new are in none)
--   s  a stream written (added > 0) or guarded (added = 0): its row in l, the sequence relied on, and which of the
--      append's events, from 0, are its first and last
--   m  a conversation whose messages are counted: its row in l
--   q  an append's messages of one conversation: which m, how many
--   c  a claim, in byte order of kind and key: what is expected of it (absent, value, any), what then (put, delete, keep)
--   e  an event, in order: its append, its place in it from 0, and of a message.sent its q and its place in that from 0
-- Answers each append's first position and each q's count before it (null where the append is refused), and refusals as
-- {append, verdict: conflict | claimed | keys | again, kind, key, value, position}, or {verdict: clock} for the batch.
--
-- Locks are taken in one order by all: rows of streams, rows of claims (both sorted), the keys, the head. While the head
-- is held nothing is waited for: what is updated then was locked before, and what is inserted then nobody else can be
-- inserting. See docs/adr/0003-locks-of-an-append.md.
--
-- The settings keep the plans what they are for a log of any size, however small it was when they were made.
CREATE FUNCTION append_events(
    p_now timestamptz,
    a_events integer[], a_generation bigint[],
    l_type text[], l_id text[],
    r_from integer[], r_to integer[], r_exclusive boolean[],
    s_append integer[], s_lock integer[], s_type text[], s_id text[], s_expected bigint[], s_added integer[],
    s_first integer[], s_last integer[],
    m_lock integer[], m_id text[],
    q_append integer[], q_counter integer[], q_count integer[],
    c_append integer[], c_kind text[], c_key text[], c_expect text[], c_expected text[], c_then text[], c_value text[],
    c_expires_at timestamptz[],
    e_append integer[], e_place integer[], e_id uuid[], e_stream_type text[], e_stream_id text[], e_sequence bigint[],
    e_type text[], e_version text[], e_payload text[], e_metadata text[], e_q integer[], e_q_place integer[],
    OUT o_recorded_at timestamptz, OUT o_first_positions bigint[], OUT o_counters bigint[], OUT o_refusals jsonb
) LANGUAGE plpgsql
SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    refused boolean[] := array_fill(false, ARRAY[cardinality(a_events)]);
    sequences bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(l_id)]);
    message_counts bigint[] := array_fill(0::bigint, ARRAY[cardinality(l_id)]);
    counted bigint[] := array_fill(0::bigint, ARRAY[cardinality(m_id)]);
    late boolean[] := array_fill(false, ARRAY[cardinality(l_id)]);
    locked boolean[];
    run_sequences bigint[];
    run_messages bigint[];
    at head%ROWTYPE;
    next_position bigint;
    i integer;
    was_late boolean := false;
    refusal record;
BEGIN
    o_refusals := '[]';
    IF p_now > clock_timestamp() + interval '60 seconds' THEN
        o_refusals := '[{"verdict": "clock"}]';
        RETURN;
    END IF;

    -- 1. Streams written, guarded and counted, each in the strongest mode that any append of the batch needs.
    FOR i IN 1 .. cardinality(r_from) LOOP
        IF r_exclusive[i] THEN
            SELECT array_agg(found.sequence), array_agg(coalesce(found.messages, 0)) INTO run_sequences, run_messages
            FROM unnest(l_type[r_from[i]:r_to[i]], l_id[r_from[i]:r_to[i]]) AS l (type, id)
            LEFT JOIN LATERAL (SELECT t.sequence, t.messages FROM streams t
                WHERE t.aggregate_type = l.type AND t.aggregate_id = l.id FOR NO KEY UPDATE) AS found ON true;
        ELSE
            SELECT array_agg(found.sequence), array_agg(coalesce(found.messages, 0)) INTO run_sequences, run_messages
            FROM unnest(l_type[r_from[i]:r_to[i]], l_id[r_from[i]:r_to[i]]) AS l (type, id)
            LEFT JOIN LATERAL (SELECT t.sequence, t.messages FROM streams t
                WHERE t.aggregate_type = l.type AND t.aggregate_id = l.id FOR SHARE) AS found ON true;
        END IF;
        sequences[r_from[i]:r_to[i]] := run_sequences;
        message_counts[r_from[i]:r_to[i]] := run_messages;
    END LOOP;

    -- 2. Claims. 3. Keys: whoever destroys some holds this exclusively and raises the generation.
    IF cardinality(c_append) > 0 THEN
        SELECT array_agg(coalesce(found.here, false)) INTO locked
        FROM unnest(c_kind, c_key) AS c (kind, key)
        LEFT JOIN LATERAL (SELECT true AS here FROM claims t WHERE t.kind = c.kind AND t.key = c.key FOR UPDATE)
            AS found ON true;
    END IF;
    IF EXISTS (SELECT FROM unnest(a_generation) AS g WHERE g IS NOT NULL) THEN
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('hansard.keys', 0));
    END IF;

    -- 4. The head. From here to the commit this append is the only one in the world.
    SELECT * INTO at FROM head FOR UPDATE;

    -- What was not there to be locked, and is there now: another append made it in between.
    FOR refusal IN
        SELECT l.n, found.sequence AS found_sequence, found.messages AS found_messages
        FROM unnest(l_type, l_id, sequences) WITH ORDINALITY AS l (type, id, known, n)
        CROSS JOIN LATERAL (SELECT t.sequence, t.messages FROM streams t
            WHERE t.aggregate_type = l.type AND t.aggregate_id = l.id) AS found
        WHERE l.known IS NULL
    LOOP
        sequences[refusal.n] := refusal.found_sequence;
        message_counts[refusal.n] := refusal.found_messages;
        late[refusal.n] := true;
        was_late := true;
    END LOOP;

    FOR refusal IN
        SELECT s.append, s.type, s.id
        FROM unnest(s_append, s_lock, s_type, s_id, s_expected) AS s (append, lock, type, id, expected)
        WHERE coalesce(sequences[s.lock], 0) <> s.expected
    LOOP
        CONTINUE WHEN refused[refusal.append];
        refused[refusal.append] := true;
        o_refusals := o_refusals || jsonb_build_object('append', refusal.append, 'verdict', 'conflict',
            'kind', refusal.type, 'key', refusal.id);
    END LOOP;
    IF was_late THEN
        -- A row to be updated that isn't locked: waiting for it here could wait for ever, so its append comes again.
        FOR refusal IN
            SELECT s.append FROM unnest(s_append, s_lock, s_added) AS s (append, lock, added)
            WHERE s.added > 0 AND late[s.lock]
            UNION
            SELECT q.append FROM unnest(q_append, q_counter) AS q (append, counter) WHERE late[m_lock[q.counter]]
        LOOP
            CONTINUE WHEN refused[refusal.append];
            refused[refusal.append] := true;
            o_refusals := o_refusals || jsonb_build_object('append', refusal.append, 'verdict', 'again');
        END LOOP;
    END IF;

    IF cardinality(c_append) > 0 THEN
        FOR refusal IN
            SELECT c.append, c.kind, c.key, held.value, held.position,
                   c.expect = 'absent' AND held.valid OR c.expect = 'value' AND (held.valid IS NOT TRUE OR held.value <> c.expected)
                       AS is_claimed
            FROM unnest(c_append, c_kind, c_key, c_expect, c_expected, c_then) WITH ORDINALITY
                AS c (append, kind, key, expect, expected, "then", n)
            LEFT JOIN LATERAL (SELECT t.value, t.position, t.expires_at IS NULL OR t.expires_at > p_now AS valid
                FROM claims t WHERE t.kind = c.kind AND t.key = c.key) AS held ON true
            WHERE c.expect = 'absent' AND held.valid
               OR c.expect = 'value' AND (held.valid IS NOT TRUE OR held.value <> c.expected)
               OR c.then <> 'keep' AND held.valid IS NOT NULL AND NOT locked[c.n]
        LOOP
            CONTINUE WHEN refused[refusal.append];
            refused[refusal.append] := true;
            o_refusals := o_refusals || CASE WHEN refusal.is_claimed
                THEN jsonb_build_object('append', refusal.append, 'verdict', 'claimed', 'kind', refusal.kind,
                    'key', refusal.key, 'value', refusal.value, 'position', refusal.position)
                ELSE jsonb_build_object('append', refusal.append, 'verdict', 'again') END;
        END LOOP;
    END IF;
    FOR refusal IN
        SELECT a.append FROM unnest(a_generation) WITH ORDINALITY AS a (generation, append)
        WHERE a.generation <> at.key_generation
    LOOP
        CONTINUE WHEN refused[refusal.append];
        refused[refusal.append] := true;
        o_refusals := o_refusals || jsonb_build_object('append', refusal.append, 'verdict', 'keys');
    END LOOP;

    -- Positions and message counts, for those that stand.
    o_recorded_at := greatest(p_now, at.recorded_at);
    o_first_positions := array_fill(NULL::bigint, ARRAY[cardinality(a_events)]);
    o_counters := array_fill(NULL::bigint, ARRAY[cardinality(q_append)]);
    next_position := at.position + 1;
    FOR i IN 1 .. cardinality(a_events) LOOP
        IF NOT refused[i] THEN
            o_first_positions[i] := next_position;
            next_position := next_position + a_events[i];
        END IF;
    END LOOP;
    FOR i IN 1 .. cardinality(q_append) LOOP
        IF NOT refused[q_append[i]] THEN
            o_counters[i] := message_counts[m_lock[q_counter[i]]] + counted[q_counter[i]];
            counted[q_counter[i]] := counted[q_counter[i]] + q_count[i];
        END IF;
    END LOOP;
    IF next_position = at.position + 1 THEN
        RETURN;
    END IF;

    INSERT INTO events (position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version, payload,
                        metadata, recorded_at, leaf_hash, message_sequence)
    SELECT o_first_positions[e.append] + e.place, e.id, e.stream_type, e.stream_id, e.sequence, e.type, e.version,
           e.payload::json, e.metadata::json, o_recorded_at,
           hash_of_leaf(leaf_of_event(e.id, e.stream_type, e.stream_id, e.sequence, e.type, e.version, e.payload,
                                      e.metadata, o_recorded_at)),
           o_counters[e.q] + e.q_place + 1
    FROM unnest(e_append, e_place, e_id, e_stream_type, e_stream_id, e_sequence, e_type, e_version, e_payload, e_metadata,
                e_q, e_q_place)
        AS e (append, place, id, stream_type, stream_id, sequence, type, version, payload, metadata, q, q_place)
    WHERE NOT refused[e.append];

    INSERT INTO streams (aggregate_type, aggregate_id, sequence, first_position, last_position)
    SELECT s.type, s.id, s.added, o_first_positions[s.append] + s.first, o_first_positions[s.append] + s.last
    FROM unnest(s_append, s_lock, s_type, s_id, s_added, s_first, s_last) AS s (append, lock, type, id, added, first, last)
    WHERE s.added > 0 AND NOT refused[s.append] AND sequences[s.lock] IS NULL;

    UPDATE streams t
    SET sequence = s.expected + s.added,
        first_position = CASE WHEN s.expected = 0 THEN o_first_positions[s.append] + s.first ELSE t.first_position END,
        last_position = o_first_positions[s.append] + s.last
    FROM unnest(s_append, s_lock, s_type, s_id, s_expected, s_added, s_first, s_last)
        AS s (append, lock, type, id, expected, added, first, last)
    WHERE s.added > 0 AND NOT refused[s.append] AND sequences[s.lock] IS NOT NULL
      AND t.aggregate_type = s.type AND t.aggregate_id = s.id;

    IF cardinality(m_id) > 0 THEN
        UPDATE streams t SET messages = message_counts[m.lock] + counted[m.n]
        FROM unnest(m_lock, m_id) WITH ORDINALITY AS m (lock, id, n)
        WHERE counted[m.n] > 0 AND t.aggregate_type = 'conversation' AND t.aggregate_id = m.id;
        -- A conversation without events of its own still counts.
        INSERT INTO streams (aggregate_type, aggregate_id, sequence, first_position, last_position, messages)
        SELECT 'conversation', m.id, 0, 0, 0, counted[m.n]
        FROM unnest(m_lock, m_id) WITH ORDINALITY AS m (lock, id, n)
        WHERE counted[m.n] > 0 AND sequences[m.lock] IS NULL
        ON CONFLICT (aggregate_type, aggregate_id) DO NOTHING;
    END IF;

    IF cardinality(c_append) > 0 THEN
        DELETE FROM claims t USING unnest(c_append, c_kind, c_key, c_then) AS c (append, kind, key, "then")
        WHERE c.then = 'delete' AND NOT refused[c.append] AND t.kind = c.kind AND t.key = c.key;

        INSERT INTO claims (kind, key, value, position, expires_at)
        SELECT c.kind, c.key, c.value, o_first_positions[c.append] + a_events[c.append] - 1, c.expires_at
        FROM unnest(c_append, c_kind, c_key, c_then, c_value, c_expires_at)
            AS c (append, kind, key, "then", value, expires_at)
        WHERE c.then = 'put' AND NOT refused[c.append]
        ON CONFLICT (kind, key) DO UPDATE
        SET value = excluded.value, position = excluded.position, expires_at = excluded.expires_at;
    END IF;

    UPDATE head SET position = next_position - 1, recorded_at = o_recorded_at;
END $$;

REVOKE ALL ON FUNCTION append_events FROM PUBLIC;
CALL grant_to_application('EXECUTE', 'FUNCTION append_events');
