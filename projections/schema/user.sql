-- Names are plain, so that people are found by them; the address and the status text are sealed as they came.
-- Folded texts are in lower case with single spaces; collation "C" makes a beginning a range of the index.
CREATE TABLE user_view (
    id uuid PRIMARY KEY,
    username text COLLATE "C" NOT NULL,
    first_name text NOT NULL,
    last_name text NOT NULL,
    full_name_folded text COLLATE "C" NOT NULL,
    last_name_folded text COLLATE "C" NOT NULL,
    email text NOT NULL,
    email_hash text COLLATE "C" NOT NULL,
    avatar_url text,
    status text NOT NULL,
    status_text text,
    roles text[] NOT NULL,
    last_seen timestamptz,
    created_at timestamptz NOT NULL
) WITH (fillfactor = 90);

-- For readers alone.
CREATE INDEX user_view_username ON user_view (username);
CREATE INDEX user_view_full_name ON user_view (full_name_folded);
CREATE INDEX user_view_last_name ON user_view (last_name_folded);
CREATE INDEX user_view_email ON user_view (email_hash);
