-- How far the tables beside it are. `updated_at` is the time of the last event applied, not of applying it.
CREATE TABLE checkpoint (
    name text PRIMARY KEY,
    position bigint NOT NULL,
    updated_at timestamptz
);
INSERT INTO checkpoint (name, position) VALUES ('core', 0);
