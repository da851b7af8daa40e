-- The record is asked for by actor and by conversation, which stand in the metadata. An index over those would cost a tenth
-- of all appends or more, so that only partitions that are full get one: see docs/adr/0010-indexes-of-the-record.md.
CREATE FUNCTION index_full_partitions() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE
    width CONSTANT bigint := 1000000;
    made integer := 0;
    number bigint;
    part text;
BEGIN
    -- Of two that come at once the second leaves it to the first.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('hansard.record_indexes', 0)) THEN
        RETURN 0;
    END IF;
    -- One partition a call: a transaction of some seconds.
    FOR number IN SELECT n FROM head, generate_series(0, head.position / width - 1) AS n LOOP
        part := 'events_' || lpad(number::text, 6, '0');
        CONTINUE WHEN to_regclass(part) IS NULL OR to_regclass(part || '_record') IS NOT NULL;
        -- A thousandth of a tree's size: a filter for each 16 pages says who is surely not in them.
        EXECUTE format('CREATE INDEX %I ON %I USING brin ((metadata->>''actorId'') text_bloom_ops, '
            '(metadata->>''conversationId'') text_bloom_ops) WITH (pages_per_range = 16)', part || '_record', part);
        -- Without knowing how many there are of each, the planner would read on in order of position.
        EXECUTE format('ANALYZE %I', part);
        made := made + 1;
        EXIT;
    END LOOP;
    RETURN made;
END $$;

REVOKE ALL ON FUNCTION index_full_partitions() FROM PUBLIC;
CALL grant_to_application('EXECUTE', 'FUNCTION index_full_partitions()');
