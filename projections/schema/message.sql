-- Messages, their earlier wordings, reactions and mentions. Texts stay sealed as they came and are opened on reading.

CREATE TABLE message_view (
    id uuid PRIMARY KEY,
    conversation_id uuid NOT NULL,
    sequence bigint NOT NULL,
    position bigint NOT NULL,
    sender_id uuid NOT NULL,
    -- The n-th message of its sender in its conversation: counts own messages in a range without reading them.
    sender_rank bigint NOT NULL,
    -- NULL once deleted.
    content text,
    type text NOT NULL,
    reply_to_id uuid,
    thread_root_id uuid,
    -- Answers in the thread that begins here, deleted ones not counted.
    thread_count bigint NOT NULL,
    mentions uuid[] NOT NULL,
    broadcast text,
    is_edited boolean NOT NULL,
    client_message_id text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    -- All NULL where it is not pinned.
    pinned_by uuid,
    pinned_at timestamptz,
    pinned_position bigint
) WITH (fillfactor = 95);

CREATE INDEX message_view_sender ON message_view (conversation_id, sender_id, sequence) INCLUDE (sender_rank);

-- Wordings that were replaced; they go with the message when it is deleted.
CREATE TABLE message_version_view (
    message_id uuid NOT NULL,
    version integer NOT NULL,
    content text NOT NULL,
    -- When this wording was written.
    edited_at timestamptz NOT NULL,
    PRIMARY KEY (message_id, version)
);

CREATE TABLE reaction_view (
    message_id uuid NOT NULL,
    emoji text NOT NULL COLLATE "C",
    user_id uuid NOT NULL,
    reaction_id uuid NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (message_id, emoji, user_id)
);

-- What counts as a mention of a person: by others, not deleted. A broadcast mentions everyone and has no rows here.
CREATE TABLE mention_view (
    conversation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    sequence bigint NOT NULL,
    message_id uuid NOT NULL,
    PRIMARY KEY (conversation_id, user_id, sequence) INCLUDE (message_id)
);

-- For readers alone.
CREATE UNIQUE INDEX message_view_sequence ON message_view (conversation_id, sequence);
CREATE INDEX message_view_pinned ON message_view (conversation_id, pinned_position) WHERE pinned_position IS NOT NULL;
CREATE INDEX message_view_position ON message_view (conversation_id, position);
CREATE INDEX message_view_thread ON message_view (thread_root_id, sequence) WHERE thread_root_id IS NOT NULL;
CREATE INDEX message_view_deleted ON message_view (conversation_id, sequence) INCLUDE (sender_id)
    WHERE deleted_at IS NOT NULL;
CREATE INDEX message_view_broadcast ON message_view (conversation_id, sequence) INCLUDE (sender_id)
    WHERE broadcast IS NOT NULL AND deleted_at IS NULL;
