-- A deleted workspace keeps its row and its members, so that those who were in it can be told that it is gone:
-- whatever is asked of a workspace asks `deleted_position IS NULL` too.
CREATE TABLE workspace_view (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    description text,
    avatar_url text,
    owner_id uuid NOT NULL,
    member_count integer NOT NULL,
    created_at timestamptz NOT NULL,
    -- The last event that changed what is shown of it.
    changed_position bigint NOT NULL,
    deleted_position bigint
) WITH (fillfactor = 70);

CREATE TABLE workspace_member_view (
    workspace_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role text NOT NULL,
    invited_by uuid,
    joined_at timestamptz NOT NULL,
    joined_position bigint NOT NULL,
    -- The last event that changed this row.
    changed_position bigint NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
);

-- A link is named by its code's hash: the code itself opens the door and is kept elsewhere.
CREATE TABLE invite_link_view (
    code_hash text COLLATE "C" PRIMARY KEY,
    workspace_id uuid NOT NULL,
    role text NOT NULL,
    expires_at timestamptz,
    max_uses bigint,
    uses bigint NOT NULL,
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    created_position bigint NOT NULL
);

-- For readers alone.
CREATE INDEX workspace_member_view_user ON workspace_member_view (user_id);
CREATE INDEX workspace_member_view_joined ON workspace_member_view (workspace_id, joined_position, user_id);
CREATE INDEX invite_link_view_workspace ON invite_link_view (workspace_id, created_position);
