-- Partitions of the log, made before they are needed.

-- Keeps two empty partitions of a million positions ahead of the head. A table is made beside the log and then attached,
-- for that lets appends and reads go on, where CREATE TABLE … PARTITION OF would lock them out. Owned by the log's
-- owner, so that the application's role needs no right to make tables.
CREATE FUNCTION make_partitions_ahead() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE
    width CONSTANT bigint := 1000000;
    made integer := 0;
    number bigint;
    part text;
BEGIN
    -- Of two that come at once the second finds the work done.
    PERFORM pg_advisory_xact_lock(hashtextextended('hansard.partitions', 0));
    FOR number IN SELECT n FROM head, generate_series(head.position / width, head.position / width + 2) AS n LOOP
        part := 'events_' || lpad(number::text, 6, '0');
        CONTINUE WHEN to_regclass(part) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part);
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT bounds CHECK (position >= %s AND position < %s)',
            part, number * width, (number + 1) * width);
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I '
            'FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_log()', part);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only', part);
        EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
            part, number * width, (number + 1) * width);
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT bounds', part);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

REVOKE ALL ON FUNCTION make_partitions_ahead() FROM PUBLIC;
CALL grant_to_application('EXECUTE', 'FUNCTION make_partitions_ahead()');
SELECT make_partitions_ahead();
