-- Events other than sends, by who may see them: those of a conversation, of a workspace, or one person's own side.
-- With the positions of messages they tell how much a client has missed, without reading the log.
CREATE TABLE activity_view (
    scope uuid NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (scope, position)
);
