-- Conversations, who is in them, and who was.

CREATE TABLE conversation_view (
    id uuid PRIMARY KEY,
    type text NOT NULL,
    history text NOT NULL,
    name text,
    description text,
    topic text,
    avatar_url text,
    is_private boolean NOT NULL,
    is_archived boolean NOT NULL,
    max_members bigint NOT NULL,
    workspace_id uuid,
    created_by uuid NOT NULL,
    participant_count bigint NOT NULL,
    -- Messages so far, deleted ones too: the number of the last one.
    last_sequence bigint NOT NULL,
    last_message_id uuid,
    last_message_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    -- Of the last event that changed the conversation or one of its messages.
    changed_position bigint NOT NULL
) WITH (fillfactor = 50); -- every send updates its row: room beside it keeps the update off the indexes

CREATE TABLE participant_view (
    conversation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role text NOT NULL,
    added_by uuid NOT NULL,
    joined_at timestamptz NOT NULL,
    joined_position bigint NOT NULL,
    -- Founders share a position; this is their order.
    joined_rank integer NOT NULL,
    -- Messages before they joined: where history is not shared, what they may read begins after it.
    joined_sequence bigint NOT NULL,
    -- What counts as unread comes after it. Starts where they joined.
    mark_sequence bigint NOT NULL,
    -- The last message that they have marked read themselves, 0 where none: joining starts the mark and reads nothing.
    read_sequence bigint NOT NULL,
    last_read_at timestamptz,
    last_read_message_id uuid,
    is_muted boolean NOT NULL,
    is_pinned boolean NOT NULL,
    -- Of the last event of this person's own side: joining, a role, a mark, a preference.
    changed_position bigint NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
) WITH (fillfactor = 80);

-- Who was in a conversation and is not now. What they had muted and pinned is kept, for their inbox keeps it too.
CREATE TABLE former_participant_view (
    conversation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    left_position bigint NOT NULL,
    is_muted boolean NOT NULL,
    is_pinned boolean NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
);

-- For readers alone.
CREATE INDEX conversation_view_workspace ON conversation_view (workspace_id) WHERE workspace_id IS NOT NULL;
-- By both, so that one person's place in one conversation is found by it as fast as all their places.
CREATE INDEX participant_view_user ON participant_view (user_id, conversation_id);
-- Leads to a page of them by the index alone, however many lie before it.
CREATE INDEX participant_view_order ON participant_view (conversation_id, joined_position, joined_rank) INCLUDE (user_id);
CREATE INDEX former_participant_view_user ON former_participant_view (user_id, left_position);
