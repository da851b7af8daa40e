//! [`Renderer`]: makes [`Entry`]s of a batch of events. What they need beside themselves is fetched for all at once.

use super::{Audience, Entry, Left, Moves, Push, conversation, message};
use crate::delivery::DeliveryError;
use domain::{
    Aggregate, ConversationId, MessageId, Personal, Position, Sequence, UserId, WorkspaceId,
    conversation::{Conversation, ConversationEvent, History},
    inbox::{Direction, Inbox, InboxEvent},
    message::{Message, MessageEvent},
    user::{User, UserEvent},
    workspace::{Workspace, WorkspaceEvent},
};
use event_store::{RecordedEvent, StoreError};
use message::{Changed, Sent};
use moka::sync::Cache;
use projections::{
    Views,
    delivery::{self, Scope},
    user::{self, UserSummary},
};
use std::collections::{BTreeSet, HashMap};
use tracing::{error, warn};

/// Messages whose place is remembered, at about 100 bytes each.
const PLACES_MAX: u64 = 200_000;
/// People whose name is remembered, at about 300 bytes each.
const PEOPLE_MAX: u64 = 50_000;

/// The conversation of a message, and where in the log it was sent.
type Place = (ConversationId, Position);

/// One for a process; it remembers names and places.
pub(crate) struct Renderer {
    views: Views,
    places: Cache<MessageId, Place>,
    people: Cache<UserId, UserSummary>,
}

enum Event {
    User(UserEvent),
    Workspace(WorkspaceEvent),
    Conversation(ConversationEvent),
    Inbox(InboxEvent),
    Message(MessageEvent),
    /// Nobody is told of it.
    Silent,
}

/// What a batch needs beside its events.
#[derive(Default)]
struct Around {
    places: HashMap<MessageId, Place>,
    people: HashMap<UserId, UserSummary>,
    /// By the sealed text.
    texts: HashMap<String, String>,
}

impl Renderer {
    pub fn new(views: Views) -> Self {
        Self { views, places: Cache::new(PLACES_MAX), people: Cache::new(PEOPLE_MAX) }
    }

    /// An entry for each event. Those that this build can't read are for nobody.
    pub async fn render(&self, recorded: &[RecordedEvent]) -> Result<Vec<Entry>, DeliveryError> {
        let events: Vec<Event> = recorded.iter().map(decode).collect();
        let around = self.look_around(recorded, &events).await?;
        Ok(recorded.iter().zip(&events).map(|(recorded, event)| entry(recorded, event, &around)).collect())
    }

    /// Takes note of a name that has changed; of what is new on the log, and in its order.
    pub async fn note_names(&self, recorded: &[RecordedEvent]) -> Result<(), DeliveryError> {
        let renamed: BTreeSet<UserId> = recorded
            .iter()
            .filter(|recorded| matches!(decode(recorded), Event::User(UserEvent::ProfileUpdated { .. })))
            .filter_map(|recorded| recorded.aggregate_id.parse().ok())
            .collect();
        for user in renamed {
            // The views may not have heard of it yet.
            if let Some(summary) = self.name_in_log(user).await? {
                self.people.insert(user, summary);
            }
        }
        Ok(())
    }

    async fn look_around(&self, recorded: &[RecordedEvent], events: &[Event]) -> Result<Around, DeliveryError> {
        let mut changed = BTreeSet::new();
        let mut named = BTreeSet::new();
        let mut sealed = BTreeSet::new();
        for (recorded, event) in recorded.iter().zip(events) {
            match event {
                Event::Message(event) => {
                    let id = recorded.aggregate_id.parse::<MessageId>();
                    if let MessageEvent::Sent { conversation_id, sender_id, content, .. } = event {
                        named.insert(*sender_id);
                        note_sealed(&mut sealed, content);
                        if let Ok(id) = id {
                            self.places.insert(id, (*conversation_id, recorded.position));
                        }
                    } else {
                        changed.extend(id);
                    }
                    if let Some(content) = event.rewording() {
                        note_sealed(&mut sealed, content);
                    }
                }
                Event::Conversation(ConversationEvent::Created { participants, .. }) => {
                    named.extend(conversation::shown(participants).iter().map(|founder| founder.user_id));
                }
                Event::Conversation(_) | Event::User(_) | Event::Workspace(_) | Event::Inbox(_) | Event::Silent => {}
            }
        }
        Ok(Around {
            places: self.places_of(changed).await?,
            people: self.names_of(named).await?,
            texts: self.open(sealed).await?,
        })
    }

    async fn places_of(&self, messages: BTreeSet<MessageId>) -> Result<HashMap<MessageId, Place>, DeliveryError> {
        let mut places = HashMap::with_capacity(messages.len());
        let mut unknown = Vec::new();
        for id in messages {
            match self.places.get(&id) {
                Some(place) => _ = places.insert(id, place),
                None => unknown.push(id),
            }
        }
        if unknown.is_empty() {
            return Ok(places);
        }
        let mut found = delivery::places(&self.views, &unknown).await?;
        for id in unknown {
            // What the views have not applied yet is in the log.
            let place = match found.remove(&id) {
                Some(place) => Some(place),
                None => self.place_in_log(id).await?,
            };
            if let Some(place) = place {
                self.places.insert(id, place);
                places.insert(id, place);
            }
        }
        Ok(places)
    }

    async fn place_in_log(&self, id: MessageId) -> Result<Option<Place>, DeliveryError> {
        let life = self.views.store().read_stream(Message::TYPE, &id.to_string(), Sequence(0)).await?;
        let Some(first) = life.first() else { return Ok(None) };
        Ok(match decode(first) {
            Event::Message(MessageEvent::Sent { conversation_id, .. }) => Some((conversation_id, first.position)),
            Event::Message(_)
            | Event::User(_)
            | Event::Workspace(_)
            | Event::Conversation(_)
            | Event::Inbox(_)
            | Event::Silent => None,
        })
    }

    async fn names_of(&self, people: BTreeSet<UserId>) -> Result<HashMap<UserId, UserSummary>, DeliveryError> {
        let mut names = HashMap::with_capacity(people.len());
        let mut unknown = Vec::new();
        for id in people {
            match self.people.get(&id) {
                Some(summary) => _ = names.insert(id, summary),
                None => unknown.push(id),
            }
        }
        if unknown.is_empty() {
            return Ok(names);
        }
        let mut found = user::many(&self.views, &unknown).await?;
        for id in unknown {
            let summary = match found.remove(&id) {
                Some(summary) => Some(summary),
                None => self.name_in_log(id).await?,
            };
            if let Some(summary) = summary {
                // A newer name that was noted meanwhile stays.
                names.insert(id, self.people.entry(id).or_insert(summary).into_value());
            }
        }
        Ok(names)
    }

    async fn name_in_log(&self, id: UserId) -> Result<Option<UserSummary>, DeliveryError> {
        let mut summary: Option<UserSummary> = None;
        for recorded in self.views.store().read_stream(User::TYPE, &id.to_string(), Sequence(0)).await? {
            let Event::User(event) = decode(&recorded) else { continue };
            if let UserEvent::Registered { username, first_name, last_name, .. } = &event {
                summary = Some(UserSummary {
                    id,
                    username: self.plain(username).await?,
                    first_name: self.plain(first_name).await?,
                    last_name: self.plain(last_name).await?,
                    avatar_url: None,
                });
            } else if let (UserEvent::ProfileUpdated { first_name, last_name, avatar_url }, Some(summary)) =
                (&event, &mut summary)
            {
                if let Some(name) = first_name {
                    summary.first_name = self.plain(name).await?;
                }
                if let Some(name) = last_name {
                    summary.last_name = self.plain(name).await?;
                }
                if let Some(url) = avatar_url {
                    summary.avatar_url = Some(url.clone()).filter(|url| !url.is_empty());
                }
            }
        }
        Ok(summary)
    }

    async fn plain(&self, text: &Personal) -> Result<String, DeliveryError> {
        match text {
            Personal::Plain(text) => Ok(text.clone()),
            Personal::Sealed(sealed) => Ok(self.views.keyring().open(sealed).await?.unwrap_or_default()),
        }
    }

    /// Those that can be opened. A key that is gone takes its text with it, and not the rest of the batch.
    async fn open(&self, sealed: BTreeSet<String>) -> Result<HashMap<String, String>, DeliveryError> {
        let texts: Vec<&str> = sealed.iter().map(String::as_str).collect();
        let opened = match self.views.keyring().open_many(&texts).await {
            Ok(opened) => opened,
            Err(error) if is_lost(&error) => self.open_one_by_one(&texts).await?,
            Err(error) => return Err(error.into()),
        };
        let opened = texts.iter().zip(opened).filter_map(|(sealed, text)| Some(((*sealed).to_owned(), text?)));
        Ok(opened.collect())
    }

    async fn open_one_by_one(&self, texts: &[&str]) -> Result<Vec<Option<String>>, DeliveryError> {
        let mut opened = Vec::with_capacity(texts.len());
        for text in texts {
            opened.push(match self.views.keyring().open(text).await {
                Ok(text) => text,
                Err(error) if is_lost(&error) => {
                    warn!(%error, "a text can't be opened; it is told without it");
                    None
                }
                Err(error) => return Err(error.into()),
            });
        }
        Ok(opened)
    }
}

/// Whether trying again won't help.
fn is_lost(error: &StoreError) -> bool {
    matches!(error, StoreError::UnknownKey(_) | StoreError::Forged(_) | StoreError::Unreadable { .. })
}

fn note_sealed(sealed: &mut BTreeSet<String>, text: &Personal) {
    if let Personal::Sealed(text) = text {
        sealed.insert(text.clone());
    }
}

fn decode(recorded: &RecordedEvent) -> Event {
    let decoded = match recorded.aggregate_type.as_str() {
        User::TYPE => recorded.decode().map(Event::User),
        Workspace::TYPE => recorded.decode().map(Event::Workspace),
        Conversation::TYPE => recorded.decode().map(Event::Conversation),
        Inbox::TYPE => recorded.decode().map(Event::Inbox),
        Message::TYPE => recorded.decode().map(Event::Message),
        _ => Ok(Event::Silent),
    };
    decoded.unwrap_or_else(|error| {
        error!(position = %recorded.position, %error, "an event can't be read; nobody is told of it");
        Event::Silent
    })
}

fn entry(recorded: &RecordedEvent, event: &Event, around: &Around) -> Entry {
    let silent = Entry {
        position: recorded.position,
        recorded_at: recorded.recorded_at,
        audience: Audience::Nobody,
        pushes: vec![],
        message: None,
        is_deletion: false,
        moves: None,
    };
    let id = recorded.aggregate_id.parse::<uuid::Uuid>();
    match (event, id) {
        (Event::Message(event), Ok(id)) => of_message(silent, recorded, MessageId(id), event, around),
        (Event::Conversation(event), Ok(id)) => of_conversation(silent, ConversationId(id), event, around),
        (Event::Workspace(event), Ok(id)) => of_workspace(silent, WorkspaceId(id), event),
        (Event::Inbox(event), _) => of_inbox(silent, event),
        (Event::User(_) | Event::Silent, _)
        | (Event::Message(_) | Event::Conversation(_) | Event::Workspace(_), Err(_)) => silent,
    }
}

fn of_message(entry: Entry, recorded: &RecordedEvent, id: MessageId, event: &MessageEvent, around: &Around) -> Entry {
    let text = |text: &Personal| match text {
        Personal::Plain(text) => Some(text.clone()),
        Personal::Sealed(sealed) => around.texts.get(sealed).cloned(),
    };
    let change = match event {
        MessageEvent::Sent {
            conversation_id,
            sender_id,
            content,
            r#type,
            reply_to_id,
            thread_root_id: _,
            mentions,
            broadcast,
            client_message_id,
            created_at,
        } => {
            let push = message::sent(Sent {
                id,
                conversation: *conversation_id,
                sequence: recorded.message_sequence,
                position: recorded.position,
                sender: *sender_id,
                summary: around.people.get(sender_id).cloned(),
                content: text(content),
                r#type: *r#type,
                reply_to: *reply_to_id,
                mentions: mentions.clone(),
                broadcast: *broadcast,
                client_message_id: client_message_id.clone(),
                created_at: *created_at,
            });
            let audience = Audience::Conversation { id: *conversation_id, about: Some(recorded.position) };
            return Entry { audience, pushes: vec![push], message: Some(id), ..entry };
        }
        MessageEvent::Edited { content, edited_at } => Changed::Edited { content: text(content), at: *edited_at },
        MessageEvent::Deleted { .. } => Changed::Deleted,
        MessageEvent::ReactionAdded { reaction_id, emoji, user_id } => {
            Changed::Reacted { reaction_id: *reaction_id, emoji: emoji.clone(), user: *user_id }
        }
        MessageEvent::ReactionRemoved { reaction_id, emoji, user_id } => {
            Changed::Unreacted { reaction_id: *reaction_id, emoji: emoji.clone(), user: *user_id }
        }
        MessageEvent::Pinned { pinned_by, .. } => Changed::Pinned(*pinned_by),
        MessageEvent::Unpinned { unpinned_by } => Changed::Unpinned(*unpinned_by),
    };
    let Some((conversation, sent)) = around.places.get(&id).copied() else { return entry };
    Entry {
        audience: Audience::Conversation { id: conversation, about: Some(sent) },
        is_deletion: matches!(change, Changed::Deleted),
        pushes: vec![message::changed(id, conversation, change)],
        message: Some(id),
        ..entry
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what is made of it takes its place")]
fn of_conversation(entry: Entry, id: ConversationId, event: &ConversationEvent, around: &Around) -> Entry {
    let still = unmoved(Scope::Conversation(id));
    let (push, moves): (Option<Push>, _) = match event {
        ConversationEvent::Created { participants, history, .. } => {
            let joined: Vec<UserId> = participants.iter().map(|founder| founder.user_id).collect();
            let is_shared = Some(*history == History::Shared);
            let moves = Moves { participants: i64::try_from(joined.len()).ok(), joined, is_shared, ..still };
            (conversation::created(id, event, &around.people), Some(moves))
        }
        ConversationEvent::Updated(changes) => {
            let moves = changes.history.map(|new| Moves { is_shared: Some(new == History::Shared), ..still });
            (Some(conversation::updated(id, changes)), moves)
        }
        ConversationEvent::Deleted { .. } => {
            (Some(conversation::deleted(id)), Some(Moves { left: Left::All, ..still }))
        }
        ConversationEvent::ParticipantAdded { user_id, role, .. } => {
            let moves = Moves { joined: vec![*user_id], ..still };
            (Some(conversation::participant_added(id, *user_id, *role)), Some(moves))
        }
        ConversationEvent::ParticipantRemoved { user_id, .. } => {
            let moves = Moves { left: Left::One(*user_id), ..still };
            (Some(conversation::participant_removed(id, *user_id)), Some(moves))
        }
        ConversationEvent::ParticipantRoleChanged { user_id, role } => {
            (Some(conversation::role_changed(id, *user_id, *role)), None)
        }
    };
    let audience = Audience::Conversation { id, about: None };
    Entry { audience, pushes: push.into_iter().collect(), moves, ..entry }
}

fn unmoved(scope: Scope) -> Moves {
    Moves { scope, joined: vec![], left: Left::Nobody, is_shared: None, participants: None }
}

fn of_workspace(entry: Entry, id: WorkspaceId, event: &WorkspaceEvent) -> Entry {
    let still = unmoved(Scope::Workspace(id));
    match event {
        WorkspaceEvent::Created { owner_id, .. } => {
            Entry { moves: Some(Moves { joined: vec![*owner_id], ..still }), ..entry }
        }
        WorkspaceEvent::MemberJoined { user_id, .. } => Entry {
            audience: Audience::Workspace(id),
            pushes: vec![conversation::member_added(id, *user_id)],
            moves: Some(Moves { joined: vec![*user_id], ..still }),
            ..entry
        },
        // Its members are told of each of its channels.
        WorkspaceEvent::Deleted { .. } => Entry { moves: Some(Moves { left: Left::All, ..still }), ..entry },
        WorkspaceEvent::MemberRoleChanged { .. }
        | WorkspaceEvent::InviteLinkCreated { .. }
        | WorkspaceEvent::InviteLinkRevoked { .. } => entry,
    }
}

fn of_inbox(entry: Entry, event: &InboxEvent) -> Entry {
    match event {
        InboxEvent::ReadMarked { conversation_id, user_id, message_id, direction: Direction::Read, .. } => Entry {
            audience: Audience::Readers { conversation: *conversation_id, reader: *user_id },
            pushes: vec![message::read(*message_id, *conversation_id, *user_id)],
            ..entry
        },
        // Nothing is named for it: a mark that moves back is found by asking.
        InboxEvent::ReadMarked { direction: Direction::Unread, .. } => entry,
        InboxEvent::PreferenceChanged { conversation_id, user_id, is_muted, is_pinned } => Entry {
            audience: Audience::Person(*user_id),
            pushes: vec![conversation::preference_changed(*conversation_id, *user_id, *is_muted, *is_pinned)],
            ..entry
        },
    }
}
