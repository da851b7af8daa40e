-- How many have read how far, without a row per person and message.
--
-- `readers` of a slot is the number of people who have marked it read as the last: level 0 has a slot for each sequence, level 1 one
-- for each 64, level 2 one for each 4,096. Whoever has read a message is in a slot at or after it: at most 63 slots of
-- each lower level and those of the top one add up to their number. Where history is not shared, whoever joined after a
-- message can't have read it: they count -1 in the slot of where they joined.

CREATE TABLE reader_count_view (
    conversation_id uuid NOT NULL,
    level smallint NOT NULL,
    slot bigint NOT NULL,
    readers bigint NOT NULL,
    PRIMARY KEY (conversation_id, level, slot)
) WITH (fillfactor = 70);
