//! [`Inbox`]: one person's side of one conversation. A stream of its own, so that reading never contends with sending.

use crate::{
    Aggregate, Context, ConversationId, DomainEvent, KeyScope, Kind, MessageId, Position, Refusal, Sequence, Snapshots,
    Timestamp, UserId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The stream's id: `<conversation>:<person>`.
pub fn inbox_id(conversation: ConversationId, user: UserId) -> String {
    format!("{conversation}:{user}")
}

/// Reading moves a mark forward only; marking unread moves it back only. Who joins starts at the messages there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Read,
    Unread,
}

impl Direction {
    /// Where a mark goes from where it is: nowhere, if that is not this direction's way.
    pub fn moved(self, mark: Sequence, to: Sequence) -> Sequence {
        match self {
            Self::Read => mark.max(to),
            Self::Unread => mark.min(to),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "payload", rename_all_fields = "camelCase")]
pub enum InboxEvent {
    /// Moves the mark to `sequence`, if that is the direction's way: see [`Direction::moved`]. All messages up to and
    /// with the mark are read, those after it are not.
    #[serde(rename = "inbox.read_marked")]
    ReadMarked {
        conversation_id: ConversationId,
        user_id: UserId,
        message_id: MessageId,
        sequence: Sequence,
        direction: Direction,
        read_at: Timestamp,
    },
    #[serde(rename = "inbox.preference_changed")]
    PreferenceChanged {
        conversation_id: ConversationId,
        user_id: UserId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is_muted: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is_pinned: Option<bool>,
    },
}
impl DomainEvent for InboxEvent {}

/// `sequence` is the message's number in its conversation, from the log.
#[derive(Clone, Copy, Debug)]
pub enum InboxCommand {
    MarkRead { conversation: ConversationId, message: MessageId, sequence: Sequence },
    MarkUnread { conversation: ConversationId, message: MessageId, sequence: Sequence },
    ChangePreference { conversation: ConversationId, is_muted: Option<bool>, is_pinned: Option<bool> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InboxError {
    NotAMessageOfTheConversation,
}

impl From<InboxError> for Refusal {
    fn from(error: InboxError) -> Self {
        match error {
            InboxError::NotAMessageOfTheConversation => {
                Self::new(Kind::NotFound, "not_found", "there is no such message in this conversation")
            }
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbox {
    /// The mark stands here or later: it starts where the person joined, and starts there again when they come back,
    /// which this stream does not know.
    read_at_least: Sequence,
    is_muted: bool,
    is_pinned: bool,
}

const SNAPSHOTS: &Snapshots<Inbox> = &Snapshots::of(include_bytes!("inbox.rs"));

impl Aggregate for Inbox {
    const TYPE: &'static str = "inbox";
    type Command = InboxCommand;
    type Event = InboxEvent;
    type Error = InboxError;

    fn decide(&self, command: InboxCommand, ctx: &Context) -> Result<Vec<InboxEvent>, InboxError> {
        let marked = |conversation_id, message_id, sequence, direction| InboxEvent::ReadMarked {
            conversation_id,
            user_id: ctx.actor,
            message_id,
            sequence,
            direction,
            read_at: ctx.now,
        };
        match command {
            InboxCommand::MarkRead { sequence, .. } | InboxCommand::MarkUnread { sequence, .. } if sequence.0 < 1 => {
                Err(InboxError::NotAMessageOfTheConversation)
            }
            InboxCommand::MarkRead { conversation, message, sequence } => {
                let moves = sequence > self.read_at_least;
                Ok(moves.then(|| marked(conversation, message, sequence, Direction::Read)).into_iter().collect())
            }
            InboxCommand::MarkUnread { conversation, message, sequence } => {
                // Always a fact: how far the mark may stand beyond what this stream knows, it can't tell.
                Ok(vec![marked(conversation, message, Sequence(sequence.0 - 1), Direction::Unread)])
            }
            InboxCommand::ChangePreference { conversation, is_muted, is_pinned } => {
                let is_muted = is_muted.filter(|muted| *muted != self.is_muted);
                let is_pinned = is_pinned.filter(|pinned| *pinned != self.is_pinned);
                if is_muted.is_none() && is_pinned.is_none() {
                    return Ok(vec![]);
                }
                Ok(vec![InboxEvent::PreferenceChanged {
                    conversation_id: conversation,
                    user_id: ctx.actor,
                    is_muted,
                    is_pinned,
                }])
            }
        }
    }

    fn apply(&mut self, event: &InboxEvent, _: Position) {
        match event {
            InboxEvent::ReadMarked { sequence, direction, .. } => {
                self.read_at_least = direction.moved(self.read_at_least, *sequence);
            }
            InboxEvent::PreferenceChanged { is_muted, is_pinned, .. } => {
                self.is_muted = is_muted.unwrap_or(self.is_muted);
                self.is_pinned = is_pinned.unwrap_or(self.is_pinned);
            }
        }
    }

    fn key_scope(&self) -> Option<KeyScope> {
        None
    }

    fn snapshots() -> Option<&'static Snapshots<Self>> {
        Some(SNAPSHOTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ALICE, BOB, Given, NOW, by, given};
    use uuid::Uuid;

    const CONVERSATION: ConversationId = ConversationId(Uuid::from_u128(0x21));
    const MESSAGE: MessageId = MessageId(Uuid::from_u128(0x31));

    fn inbox(past: impl IntoIterator<Item = InboxEvent>) -> Given<Inbox> {
        given(inbox_id(CONVERSATION, BOB), past)
    }
    fn read(sequence: i64) -> InboxCommand {
        InboxCommand::MarkRead { conversation: CONVERSATION, message: MESSAGE, sequence: Sequence(sequence) }
    }
    fn unread(sequence: i64) -> InboxCommand {
        InboxCommand::MarkUnread { conversation: CONVERSATION, message: MESSAGE, sequence: Sequence(sequence) }
    }
    fn marked(direction: Direction, sequence: i64) -> InboxEvent {
        InboxEvent::ReadMarked {
            conversation_id: CONVERSATION,
            user_id: BOB,
            message_id: MESSAGE,
            sequence: Sequence(sequence),
            direction,
            read_at: NOW,
        }
    }
    fn prefer(is_muted: Option<bool>, is_pinned: Option<bool>) -> InboxCommand {
        InboxCommand::ChangePreference { conversation: CONVERSATION, is_muted, is_pinned }
    }
    fn preferred(is_muted: Option<bool>, is_pinned: Option<bool>) -> InboxEvent {
        InboxEvent::PreferenceChanged { conversation_id: CONVERSATION, user_id: BOB, is_muted, is_pinned }
    }

    #[test]
    fn an_inbox_is_named_after_its_conversation_and_person() {
        assert_eq!(inbox_id(CONVERSATION, ALICE), format!("{CONVERSATION}:{ALICE}"));
    }

    #[test]
    fn reading_marks_up_to_and_with_a_message() {
        inbox([]).when(read(3), by(BOB)).then([marked(Direction::Read, 3)]);
    }

    #[test]
    fn reading_further_moves_the_mark() {
        inbox([marked(Direction::Read, 3)]).when(read(4), by(BOB)).then([marked(Direction::Read, 4)]);
    }

    #[test]
    fn reading_twice_is_reading_once() {
        inbox([marked(Direction::Read, 3)]).when(read(3), by(BOB)).then_nothing();
    }

    #[test]
    fn reading_an_earlier_message_moves_no_mark_back() {
        inbox([marked(Direction::Read, 3)]).when(read(2), by(BOB)).then_nothing();
    }

    #[test]
    fn what_was_marked_unread_can_be_read_again() {
        let past = [marked(Direction::Read, 9), marked(Direction::Unread, 2)];
        inbox(past).when(read(5), by(BOB)).then([marked(Direction::Read, 5)]);
    }

    #[test]
    fn marking_unread_moves_the_mark_before_the_message() {
        inbox([marked(Direction::Read, 3)]).when(unread(2), by(BOB)).then([marked(Direction::Unread, 1)]);
    }

    #[test]
    fn marking_the_first_message_unread_leaves_nothing_read() {
        inbox([marked(Direction::Read, 3)]).when(unread(1), by(BOB)).then([marked(Direction::Unread, 0)]);
    }

    #[test]
    fn marking_unread_does_not_read_what_comes_before() {
        // The mark may stand before the message already: an unread mark at 4 must not keep 3 from being read.
        inbox([marked(Direction::Unread, 4)]).when(read(3), by(BOB)).then([marked(Direction::Read, 3)]);
    }

    #[test]
    fn marking_unread_works_after_coming_back() {
        // Whoever comes back starts at the messages there are, beyond all that this stream knows.
        inbox([marked(Direction::Read, 2)]).when(unread(9), by(BOB)).then([marked(Direction::Unread, 8)]);
    }

    #[test]
    fn a_message_without_a_number_is_none_of_the_conversation() {
        for command in [read(0), unread(0), read(-1)] {
            inbox([]).when(command, by(BOB)).then_refused(InboxError::NotAMessageOfTheConversation);
        }
    }

    #[test]
    fn muting_and_pinning_are_kept() {
        inbox([]).when(prefer(Some(true), Some(true)), by(BOB)).then([preferred(Some(true), Some(true))]);
    }

    #[test]
    fn only_what_changes_of_a_preference_is_a_fact() {
        let muted = inbox([preferred(Some(true), None)]);
        muted.when(prefer(Some(true), Some(true)), by(BOB)).then([preferred(None, Some(true))]);
    }

    #[test]
    fn a_preference_that_is_so_already_is_no_fact() {
        inbox([]).when(prefer(Some(false), None), by(BOB)).then_nothing();
        inbox([]).when(prefer(None, None), by(BOB)).then_nothing();
        inbox([preferred(Some(true), Some(true))]).when(prefer(Some(true), Some(true)), by(BOB)).then_nothing();
    }

    #[test]
    fn muting_can_be_undone() {
        let muted = inbox([preferred(Some(true), Some(true))]);
        muted.when(prefer(Some(false), None), by(BOB)).then([preferred(Some(false), None)]);
    }

    #[test]
    fn preferences_do_not_move_the_mark() {
        inbox([marked(Direction::Read, 3), preferred(Some(true), None)]).when(read(3), by(BOB)).then_nothing();
    }

    #[test]
    fn nothing_personal_is_in_an_inbox() {
        assert_eq!(inbox([marked(Direction::Read, 3)]).state.key_scope(), None);
    }
}
