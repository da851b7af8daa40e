-- Stays in conversations that have ended. With those that go on (`participant_view`) they tell whose an event was, as of
-- any position: from where the stay began to where it ended, both counted.
CREATE TABLE former_stay_view (
    user_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    joined_position bigint NOT NULL,
    left_position bigint NOT NULL,
    PRIMARY KEY (user_id, left_position, conversation_id)
);
