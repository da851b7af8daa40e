//! Laws that hold for every order of commands and for every text.

use domain::{
    Aggregate, Context, ConversationId, KeyScope, MessageId, Position, ReactionId, Sequence, SessionId, Timestamp,
    UserId, WorkspaceId,
    conversation::{Conversation, ConversationChanges, ConversationCommand, ConversationType, History, Role},
    inbox::{Direction, Inbox, InboxCommand, InboxEvent},
    message::{Message, MessageCommand, MessageType, NewMessage, candidates, names_mentioned},
    user::{RevocationReason, SystemRole, User, UserCommand, is_username},
    workspace::{Workspace, WorkspaceCommand, WorkspaceRole},
};
use proptest::{collection::vec, prelude::*, sample::select};
use std::{collections::HashSet, fmt::Debug};
use uuid::Uuid;

/// Alice, Bob, Carol and as many more as are needed.
fn person(n: u8) -> UserId {
    UserId(Uuid::from_u128(0x0191_0000_0000_7000_8000_0000_0000_0000 + u128::from(n)))
}

fn by(actor: UserId) -> Context {
    Context { actor, now: Timestamp(1_769_846_400_000) }
}

/// Decides and applies, as the log does; a refusal changes nothing. Whether it was taken.
fn order<A: Aggregate>(state: &mut A, at: &mut i64, command: A::Command, actor: UserId) -> Option<Vec<A::Event>> {
    let events = state.decide(command, &by(actor)).ok()?;
    for event in &events {
        *at += 1;
        state.apply(event, Position(*at));
    }
    Some(events)
}

fn people() -> impl Strategy<Value = UserId> {
    (0..5_u8).prop_map(person)
}

fn conversation_command() -> impl Strategy<Value = ConversationCommand> {
    use ConversationCommand as C;
    let role = || select(vec![Role::Member, Role::Admin, Role::Owner]);
    prop_oneof![
        1 => people().prop_map(|with| C::CreateDirect { with }),
        2 => (1..6_u32, vec(people(), 0..4)).prop_map(|(max_members, participants)| C::CreateGroup {
            name: Some("Lunch".to_owned()),
            description: None,
            avatar_url: None,
            is_private: true,
            max_members,
            participants,
        }),
        2 => any::<bool>().prop_map(|is_private| C::CreateChannel {
            workspace: WorkspaceId(Uuid::from_u128(1)),
            name: "lunch".to_owned(),
            description: None,
            is_private,
        }),
        1 => select(vec![History::Shared, History::Joined]).prop_map(|history| {
            C::Update(ConversationChanges { history: Some(history), ..ConversationChanges::default() })
        }),
        1 => Just(C::Delete),
        1 => Just(C::DeleteWithWorkspace),
        6 => vec(people(), 0..4).prop_map(|users| C::AddParticipants { users }),
        6 => Just(C::Subscribe),
        12 => people().prop_map(|user| C::RemoveParticipant { user }),
        12 => (people(), role()).prop_map(|(user, role)| C::ChangeRole { user, role }),
    ]
}

fn message_command() -> impl Strategy<Value = MessageCommand> {
    use MessageCommand as C;
    let emoji = || select(vec!["👍", "🎉", ":party_parrot:", "nice"]).prop_map(str::to_owned);
    let reaction = || (0..20_u128).prop_map(|n| ReactionId(Uuid::from_u128(n)));
    prop_oneof![
        12 => emoji().prop_map(|emoji| C::React { reaction: ReactionId(Uuid::nil()), emoji }),
        5 => reaction().prop_map(|reaction| C::Unreact { reaction }),
        5 => emoji().prop_map(|emoji| C::UnreactEmoji { emoji }),
        1 => Just(C::Edit { content: "bye".to_owned() }),
        1 => any::<bool>().prop_map(|moderator| C::Delete { moderator }),
    ]
}

fn hello() -> MessageCommand {
    MessageCommand::Send(NewMessage {
        conversation: ConversationId(Uuid::from_u128(0x21)),
        content: "hello".to_owned(),
        r#type: MessageType::Text,
        reply_to: None,
        thread_root: None,
        mentions: vec![],
        broadcast: None,
        client_message_id: None,
        created_at: Timestamp(0),
        may_be_empty: false,
    })
}

/// What someone does in a conversation that has so many messages.
#[derive(Clone, Copy, Debug)]
enum Reading {
    Read(i64),
    Unread(i64),
    /// Leaves, some more messages are sent, and they are added again.
    ComeBack(i64),
}

fn reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        6 => (1..=20_i64).prop_map(Reading::Read),
        4 => (1..=20_i64).prop_map(Reading::Unread),
        1 => (0..=20_i64).prop_map(Reading::ComeBack),
    ]
}

fn workspace_command() -> impl Strategy<Value = WorkspaceCommand> {
    use WorkspaceCommand as C;
    let code = || select(vec!["one", "two", "three"]).prop_map(str::to_owned);
    let role = || select(vec![WorkspaceRole::Guest, WorkspaceRole::Member, WorkspaceRole::Admin]);
    prop_oneof![
        2 => Just(C::Create { name: "Acme".to_owned(), description: None, avatar_url: None }),
        1 => Just(C::Delete),
        6 => (code(), role(), proptest::option::of(1..4_u32)).prop_map(|(code_hash, role, max_uses)| {
            C::CreateInviteLink { code_hash, role, expires_at: Some(Timestamp(1_769_900_000_001)), max_uses }
        }),
        2 => code().prop_map(|code_hash| C::RevokeInviteLink { code_hash }),
        8 => code().prop_map(|code_hash| C::Join { code_hash }),
        4 => people().prop_map(|user| C::Enrol { user, joined_at: Timestamp(7) }),
        6 => (people(), role()).prop_map(|(user, role)| C::ChangeRole { user, role }),
    ]
}

fn user_command() -> impl Strategy<Value = UserCommand> {
    use UserCommand as C;
    let session = || (0..5_u128).prop_map(|n| SessionId(Uuid::from_u128(n)));
    let role = || select(vec![SystemRole::Admin, SystemRole::Auditor]);
    let status = || select(vec![domain::user::Status::Away, domain::user::Status::Online]);
    prop_oneof![
        1 => Just(C::Register {
            email: "ada@example.org".to_owned(),
            username: "ada".to_owned(),
            first_name: "Ada".to_owned(),
            last_name: "Test".to_owned(),
            created_at: Timestamp(0),
        }),
        3 => status().prop_map(|status| C::ChangeStatus { status, status_text: None }),
        3 => session().prop_map(|session| C::LogIn { session, device: None, address: None }),
        3 => session().prop_map(|session| C::RevokeSession { session, reason: RevocationReason::Ended }),
        2 => role().prop_map(|role| C::GrantRole { role }),
        2 => role().prop_map(|role| C::RevokeRole { role }),
    ]
}

/// Written down after any of its events and folded on from there, the state is what all of them make of it.
fn resumes_anywhere<A: Aggregate + PartialEq + Debug>(
    id: &str,
    orders: impl IntoIterator<Item = (UserId, A::Command)>,
) -> Result<(), TestCaseError> {
    let snapshots = A::snapshots().expect("it has snapshots");
    let (mut whole, mut at, mut events) = (A::new(id), 0, Vec::new());
    for (actor, command) in orders {
        events.extend(order(&mut whole, &mut at, command, actor).unwrap_or_default());
    }
    let fold = |state: &mut A, from: usize, to: usize| {
        for (event, at) in events[from..to].iter().zip(from + 1..) {
            state.apply(event, Position(i64::try_from(at).expect("a few")));
        }
    };
    for cut in 0..=events.len() {
        let mut state = A::new(id);
        fold(&mut state, 0, cut);
        let mut resumed = (snapshots.read)(&(snapshots.write)(&state).expect("it is written")).expect("it is read");
        prop_assert_eq!(&resumed, &state);
        fold(&mut resumed, cut, events.len());
        prop_assert_eq!(&resumed, &whole);
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_conversation_goes_on_from_a_snapshot(orders in vec((people(), conversation_command()), 1..60)) {
        resumes_anywhere::<Conversation>("c", orders)?;
    }

    #[test]
    fn a_workspace_goes_on_from_a_snapshot(orders in vec((people(), workspace_command()), 1..60)) {
        resumes_anywhere::<Workspace>("w", orders)?;
    }

    #[test]
    fn a_person_goes_on_from_a_snapshot(orders in vec(user_command(), 1..40)) {
        resumes_anywhere::<User>(&person(0).to_string(), orders.into_iter().map(|command| (person(0), command)))?;
    }

    #[test]
    fn a_message_goes_on_from_a_snapshot(orders in vec((people(), message_command()), 1..40)) {
        let numbered = orders.into_iter().zip(0_u128..).map(|((actor, command), n)| match command {
            MessageCommand::React { emoji, .. } => (actor, MessageCommand::React { reaction: ReactionId(Uuid::from_u128(n)), emoji }),
            other => (actor, other),
        });
        resumes_anywhere::<Message>("m", std::iter::once((person(0), hello())).chain(numbered))?;
    }

    #[test]
    fn an_inbox_goes_on_from_a_snapshot(marks in vec((1..=20_i64, any::<bool>()), 1..40)) {
        let (conversation, message) = (ConversationId(Uuid::from_u128(0x21)), MessageId(Uuid::from_u128(0x31)));
        let orders = marks.into_iter().map(|(sequence, is_read)| {
            let sequence = Sequence(sequence);
            (person(1), if is_read {
                InboxCommand::MarkRead { conversation, message, sequence }
            } else {
                InboxCommand::MarkUnread { conversation, message, sequence }
            })
        });
        resumes_anywhere::<Inbox>("i", orders)?;
    }

    #[test]
    fn reading_a_text_for_names_never_panics(text in any::<String>()) {
        names_mentioned(&text);
    }

    #[test]
    fn every_name_found_stands_behind_an_at(text in "[@a-cA-C ._éß漢👍-]{0,40}") {
        let names = names_mentioned(&text);
        let lower = text.to_lowercase();
        prop_assert!(names.iter().all(|name| lower.contains(&format!("@{name}"))), "{names:?}");
        prop_assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    }

    #[test]
    fn a_username_between_blanks_is_found_whatever_else_stands_there(
        name in "[a-z0-9][a-z0-9._-]{2,20}", before in "[^@]{0,20}", after in any::<String>(), end in "[.!?,;:)']?",
    ) {
        let names = names_mentioned(&format!("{before} @{name}{end} {after}"));
        prop_assert!(names.iter().any(|found| candidates(found).any(|reading| reading == name)), "{names:?}");
    }

    #[test]
    fn the_readings_of_a_name_are_usernames_that_it_begins_with(name in "[a-z._-]{0,40}") {
        for reading in candidates(&name) {
            prop_assert!(is_username(reading) && name.starts_with(reading));
        }
    }

    #[test]
    fn a_direct_conversation_has_one_id_whoever_asks(a in any::<u128>(), b in any::<u128>(), c in any::<u128>()) {
        let (a, b, c) = (UserId(Uuid::from_u128(a)), UserId(Uuid::from_u128(b)), UserId(Uuid::from_u128(c)));
        let id = ConversationId::direct(a, b);
        prop_assert_eq!(id, ConversationId::direct(b, a));
        prop_assert_eq!((id.0.get_version_num(), id.0.get_variant()), (7, uuid::Variant::RFC4122));
        prop_assert!(c == b || id != ConversationId::direct(a, c));
    }

    #[test]
    fn a_conversation_keeps_an_owner_while_anyone_is_in_it(
        orders in vec((people(), conversation_command()), 1..60),
    ) {
        let (mut state, mut at) = (Conversation::new("c"), 0);
        for (actor, command) in orders {
            order(&mut state, &mut at, command, actor);
            let has_owner = state.participants().any(|(_, participant)| participant.role == Role::Owner);
            let is_free_of_owners = state.r#type == ConversationType::Direct || state.participant_count() == 0;
            prop_assert!(has_owner != is_free_of_owners, "{state:?}");
            prop_assert!(state.r#type != ConversationType::Direct || state.participant_count() % 2 == 0);
        }
    }

    #[test]
    fn one_persons_one_emoji_stands_once_on_a_message(orders in vec((people(), message_command()), 1..60)) {
        let (mut state, mut at) = (Message::new("m"), 0);
        order(&mut state, &mut at, hello(), person(0)).expect("the first message is sent");
        for ((actor, command), n) in orders.into_iter().zip(0_u128..) {
            let command = match command {
                // Every reaction gets an id of its own, as it does from whoever commands.
                MessageCommand::React { emoji, .. } => MessageCommand::React { reaction: ReactionId(Uuid::from_u128(n)), emoji },
                other => other,
            };
            order(&mut state, &mut at, command, actor);
            let pairs: HashSet<_> = state.reactions().iter().map(|reaction| (reaction.user, &reaction.emoji)).collect();
            prop_assert_eq!(pairs.len(), state.reactions().len());
            prop_assert!(!state.is_deleted() || state.reactions().is_empty());
            let is_sealed_for_sender = matches!(state.key_scope(), Some(KeyScope::Conversation { person: p, .. }) if p == person(0));
            prop_assert!(is_sealed_for_sender);
        }
    }

    /// The stream leaves out what changes nothing. Nothing that does may be left out, wherever the mark starts and
    /// starts again, which the stream does not know.
    #[test]
    fn the_events_of_an_inbox_move_the_mark_as_the_person_did(
        start in 0..=10_i64, readings in vec(reading(), 1..40),
    ) {
        let (mut state, mut at) = (Inbox::default(), 0);
        let (mut messages, mut told, mut meant) = (20.max(start), start, start);
        let conversation = ConversationId(Uuid::from_u128(0x21));
        let message = MessageId(Uuid::from_u128(0x31));
        for reading in readings {
            let before = meant;
            let command = match reading {
                Reading::ComeBack(more) => {
                    messages += more;
                    (told, meant) = (messages, messages);
                    continue;
                }
                Reading::Read(sequence) => {
                    meant = meant.max(sequence);
                    InboxCommand::MarkRead { conversation, message, sequence: Sequence(sequence) }
                }
                Reading::Unread(sequence) => {
                    meant = meant.min(sequence - 1);
                    InboxCommand::MarkUnread { conversation, message, sequence: Sequence(sequence) }
                }
            };
            for event in order(&mut state, &mut at, command, person(1)).expect("every message has a number") {
                if let InboxEvent::ReadMarked { sequence, direction, .. } = event {
                    let moved = direction.moved(Sequence(told), sequence).0;
                    prop_assert!(moved == told || (moved > told) == (direction == Direction::Read));
                    told = moved;
                }
            }
            prop_assert_eq!(told, meant, "{:?} from {}", reading, before);
        }
    }
}
