-- Durable consumers of a stream that is made anew: noted before it is deleted, forgotten when they are there again, so
-- that no crash in between loses where they had come to.
CREATE TABLE stream_consumers (
    stream text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    acked bigint NOT NULL,
    -- As the server had told it.
    config text NOT NULL,
    PRIMARY KEY (stream, name)
);

CALL grant_to_application('SELECT, INSERT, UPDATE, DELETE', 'stream_consumers');
