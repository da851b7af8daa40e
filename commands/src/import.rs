//! [`Import`]: another product's history, brought in by an operator, many events an append.
//!
//! Every id follows from the import's name and the other product's own ids, so that an import that is taken up again,
//! or run once more, finds what it wrote. How far it has come is a claim that changes in the same append as what was
//! written: after a crash there is nothing to guess.

use crate::{Caller, CommandError, Commands, claim, conversation};
use domain::{
    Aggregate, CommandId, Context, ConversationId, KeyScope, MessageId, ReactionId, Timestamp, UserId, WorkspaceId,
    conversation::{Conversation, ConversationCommand, ConversationEvent, Role},
    message::{Message, MessageCommand, MessageEvent, NewMessage},
    user::{User, UserCommand, UserEvent},
    workspace::{Workspace, WorkspaceCommand},
};
use event_store::{Append, AppendError, Claim, Loaded};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// Ids of what a batch wrote; the others of it were there already.
pub type Written = HashSet<String>;

/// Rounds in which a batch sorts out what is there already.
const ROUNDS_MAX: u32 = 5;

pub struct Import {
    commands: Commands,
    /// Everything derived below hangs on this name.
    namespace: String,
    /// In whose name it is done: the workspace's owner.
    operator: UserId,
    conversations: HashMap<ConversationId, Loaded<Conversation>>,
}

#[derive(Clone, Debug)]
pub struct Person {
    pub id: UserId,
    pub email: String,
    pub username: String,
    pub first_name: String,
    pub last_name: String,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct Channel {
    pub id: ConversationId,
    pub name: String,
    pub description: Option<String>,
    pub is_private: bool,
    pub creator: UserId,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct Join {
    pub user: UserId,
    pub joined_at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct Post {
    pub id: MessageId,
    pub sender: UserId,
    pub message: NewMessage,
    pub edited_at: Option<Timestamp>,
    pub reactions: Vec<(UserId, String)>,
}

impl Import {
    pub fn new(commands: Commands, namespace: String, operator: UserId) -> Self {
        Self { commands, namespace, operator, conversations: HashMap::new() }
    }

    /// The id of a thing of the other product: always the same for the same namespace, kind and key, in the shape of a
    /// UUIDv7 of the thing's own time.
    pub fn id<T: From<Uuid>>(&self, kind: &str, key: &str, at: Timestamp) -> T {
        let digest = Sha256::new()
            .chain_update(&self.namespace)
            .chain_update([0])
            .chain_update(kind)
            .chain_update([0])
            .chain_update(key);
        let digest = digest.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes[..6].copy_from_slice(&at.0.max(0).to_be_bytes()[2..]);
        bytes[6] = (bytes[6] & 0x0f) | 0x70;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        T::from(Uuid::from_bytes(bytes))
    }

    pub fn now(&self) -> Timestamp {
        self.commands.now()
    }

    /// An address for a person of the other product who has none, or whose own is somebody else's here. It is under
    /// `.invalid`, where nobody can register, and can't be guessed; the same each time. `label`, letters and digits, is for
    /// people to know it by.
    pub fn made_up_email(&self, label: &str, key: &str) -> String {
        let hash = self.commands.store.keyring().keyed_hash("imported_person", &format!("{}\0{key}", self.namespace));
        let label = if label.is_empty() { "nobody" } else { label };
        format!("{label}.{}@{}.invalid", &hash[..24], self.namespace.split(':').next().unwrap_or("import"))
    }

    /// How far an earlier run has come, as it said itself.
    pub async fn progress(&self) -> Result<Option<String>, CommandError> {
        Ok(self.commands.store.claim(claim::IMPORT, &self.namespace).await?.map(|found| found.value))
    }

    /// Who has these e-mail addresses already.
    pub async fn holders_of_emails(&self, emails: &[String]) -> Result<HashMap<String, UserId>, CommandError> {
        self.holders(claim::EMAIL, emails).await
    }
    /// Who has these usernames already.
    pub async fn holders_of_usernames(&self, usernames: &[String]) -> Result<HashMap<String, UserId>, CommandError> {
        self.holders(claim::USERNAME, usernames).await
    }

    async fn holders(&self, kind: &str, texts: &[String]) -> Result<HashMap<String, UserId>, CommandError> {
        let keyring = self.commands.store.keyring();
        let hashes: HashMap<String, &String> =
            texts.iter().map(|text| (keyring.keyed_hash(kind, &text.to_lowercase()), text)).collect();
        let keys: Vec<String> = hashes.keys().cloned().collect();
        let found = self.commands.store.claims(kind, &keys).await?;
        Ok(found
            .into_iter()
            .filter_map(|(hash, user)| Some(((*hashes.get(&hash)?).clone(), user.parse().ok()?)))
            .collect())
    }

    /// Whether the rules let this person in, were they new.
    pub fn check(&self, person: &Person) -> Result<(), CommandError> {
        self.registration(person).map(|_| ())
    }

    /// Registers people without passwords: they come in by "forgotten password". `progress` says how far the import has
    /// come, once it is known who of them is new. Each is in `people` once.
    pub async fn people(
        &self,
        people: &[Person],
        progress: impl Fn(&Written) -> String,
    ) -> Result<Written, CommandError> {
        let ids: Vec<String> = people.iter().map(|person| person.id.to_string()).collect();
        self.write_new(User::TYPE, &ids, progress, async |fresh, append| {
            let scopes: Vec<KeyScope> = people.iter().map(|person| KeyScope::Person(person.id)).collect();
            self.commands.store.keyring().ensure(&scopes).await?;
            for person in people.iter().filter(|person| fresh.contains(&person.id.to_string())) {
                self.register(person, append)?;
            }
            Ok(())
        })
        .await
    }

    fn registration(&self, person: &Person) -> Result<Vec<UserEvent>, CommandError> {
        let command = UserCommand::Register {
            email: person.email.clone(),
            username: person.username.clone(),
            first_name: person.first_name.clone(),
            last_name: person.last_name.clone(),
            created_at: person.created_at,
        };
        let user: Loaded<User> = Loaded::fresh(person.id);
        Ok(user.state.decide(command, &Context { actor: person.id, now: self.commands.now() })?)
    }

    fn register(&self, person: &Person, append: &mut Append) -> Result<(), CommandError> {
        append.write(&Loaded::<User>::fresh(person.id), self.registration(person)?);
        for (kind, text) in [(claim::EMAIL, &person.email), (claim::USERNAME, &person.username)] {
            let hash = self.commands.store.keyring().keyed_hash(kind, &text.to_lowercase());
            append.claim(Claim::take(kind, hash, person.id.to_string()));
        }
        Ok(())
    }

    /// Who owns the workspace, where an earlier run made it: in their name the import goes on.
    pub async fn owner(&self, workspace: WorkspaceId) -> Result<Option<UserId>, CommandError> {
        Ok(self.commands.store.load::<Workspace>(workspace).await?.state.owner())
    }

    /// Makes the workspace, or finds it, with these people in it.
    pub async fn workspace(
        &self,
        id: WorkspaceId,
        name: &str,
        members: &[UserId],
        progress: &str,
    ) -> Result<usize, CommandError> {
        let workspace: Loaded<Workspace> = self.commands.store.load(id).await?;
        let context = Context { actor: self.operator, now: self.commands.now() };
        let mut state = Workspace::clone(&workspace.state);
        let mut events = Vec::new();
        let mut decide = |state: &mut Workspace, command| -> Result<(), CommandError> {
            for event in state.decide(command, &context)? {
                state.apply(&event, domain::Position::default());
                events.push(event);
            }
            Ok(())
        };
        if !state.exists() {
            let create = WorkspaceCommand::Create { name: name.to_owned(), description: None, avatar_url: None };
            decide(&mut state, create)?;
        }
        for user in members {
            decide(&mut state, WorkspaceCommand::Enrol { user: *user, joined_at: context.now })?;
        }
        let written = events.len();
        let mut append = self.begin();
        append.write_in(&workspace, events, None, Some(id));
        self.finish(append, progress).await.map_err(CommandError::from_append)?;
        Ok(written)
    }

    /// Makes a channel, or finds it. Returns whether it is new. Refused, and nothing written, where the rules forbid it
    /// or another channel of the workspace has its name.
    pub async fn channel(
        &mut self,
        workspace: WorkspaceId,
        channel: &Channel,
        progress: &str,
    ) -> Result<bool, CommandError> {
        let loaded: Loaded<Conversation> = self.commands.store.load(channel.id).await?;
        let is_new = !loaded.state.exists();
        if is_new {
            let command = ConversationCommand::CreateChannel {
                workspace,
                name: channel.name.clone(),
                description: channel.description.clone(),
                is_private: channel.is_private,
            };
            let events = loaded.state.decide(command, &Context { actor: channel.creator, now: channel.created_at })?;
            let mut append = self.begin();
            conversation::write(&mut append, channel.id, &loaded, events);
            let key = claim::channel_name(workspace, &channel.name);
            append.claim(Claim::take(claim::CHANNEL_NAME, key, channel.id.to_string()));
            self.finish(append, progress).await.map_err(|error| match error {
                AppendError::Claimed { kind, .. } if kind == claim::CHANNEL_NAME => conversation::name_taken(),
                error => CommandError::from_append(error),
            })?;
        }
        let loaded = self.commands.store.load(channel.id).await?;
        self.conversations.insert(channel.id, loaded);
        Ok(is_new)
    }

    pub fn is_participant(&self, channel: ConversationId, user: UserId) -> bool {
        self.conversations.get(&channel).is_some_and(|loaded| loaded.state.participant(user).is_some())
    }

    /// Writes what happened in a channel: who came in, then what was said. `progress` says how far the import has come,
    /// once it is known which messages are new. Each is in `posts` once.
    pub async fn history(
        &mut self,
        channel: ConversationId,
        joins: &[Join],
        posts: &[Post],
        progress: impl Fn(&Written) -> String,
    ) -> Result<Written, CommandError> {
        let scopes: Vec<KeyScope> =
            posts.iter().map(|post| scope(channel, post)).collect::<HashSet<_>>().into_iter().collect();
        self.commands.store.keyring().ensure(&scopes).await?;
        let ids: Vec<String> = posts.iter().map(|post| post.id.to_string()).collect();
        let loaded = self.conversations.get(&channel).ok_or(CommandError::not_found("there is no such channel"))?;
        let added = added(loaded, joins, self.operator);
        let workspace = loaded.state.workspace;
        let written = self
            .write_new(Message::TYPE, &ids, progress, async |fresh, append| {
                conversation::write(append, channel, loaded, added.clone());
                for post in posts.iter().filter(|post| fresh.contains(&post.id.to_string())) {
                    let message: Loaded<Message> = Loaded::fresh(post.id);
                    append.write_in(&message, self.life(post)?, Some(channel), workspace);
                }
                Ok(())
            })
            .await?;
        if !added.is_empty()
            && let Some(loaded) = self.conversations.get_mut(&channel)
        {
            self.commands.store.refresh(loaded).await?;
        }
        Ok(written)
    }

    /// A message's events: that it was sent, edited, reacted to.
    fn life(&self, post: &Post) -> Result<Vec<MessageEvent>, CommandError> {
        let mut state = Message::default();
        let mut events = Vec::new();
        let mut decide = |actor, now, command| -> Result<(), CommandError> {
            for event in state.decide(command, &Context { actor, now })? {
                state.apply(&event, domain::Position::default());
                events.push(event);
            }
            Ok(())
        };
        let at = post.message.created_at;
        decide(post.sender, at, MessageCommand::Send(post.message.clone()))?;
        if let Some(edited_at) = post.edited_at.filter(|_| !post.message.content.is_empty()) {
            decide(post.sender, edited_at, MessageCommand::Edit { content: post.message.content.clone() })?;
        }
        for (user, emoji) in &post.reactions {
            let reaction: ReactionId = self.id("reaction", &format!("{}:{user}:{emoji}", post.id), at);
            decide(*user, at, MessageCommand::React { reaction, emoji: emoji.clone() })?;
        }
        Ok(events)
    }

    fn begin(&self) -> Append {
        let command: CommandId = self.commands.new_id();
        let caller = Caller::operator(self.operator, format!("import-{}", self.namespace));
        Append::new(caller.metadata(command))
    }

    async fn finish(&self, mut append: Append, progress: &str) -> Result<(), AppendError> {
        if append.is_empty() {
            return Ok(());
        }
        append.claim(Claim::set(claim::IMPORT, &self.namespace, progress));
        self.commands.store.append(append).await.map(|_| ())
    }

    /// Writes those of the streams that are not there yet. That they are not is first assumed, then found out.
    async fn write_new(
        &self,
        aggregate_type: &str,
        ids: &[String],
        progress: impl Fn(&Written) -> String,
        write: impl AsyncFn(&Written, &mut Append) -> Result<(), CommandError>,
    ) -> Result<Written, CommandError> {
        let mut fresh: Written = ids.iter().cloned().collect();
        for _ in 0..ROUNDS_MAX {
            let mut append = self.begin();
            write(&fresh, &mut append).await?;
            match self.finish(append, &progress(&fresh)).await {
                Ok(()) => return Ok(fresh),
                Err(AppendError::Conflict { .. }) => {
                    fresh = self.absent(aggregate_type, ids).await?;
                }
                Err(error) => return Err(CommandError::from_append(error)),
            }
        }
        Err(CommandError::Contended)
    }

    async fn absent(&self, aggregate_type: &str, ids: &[String]) -> Result<Written, CommandError> {
        let existing = self.commands.store.existing_streams(aggregate_type, ids).await?;
        Ok(ids.iter().filter(|id| !existing.contains(*id)).cloned().collect())
    }
}

fn scope(channel: ConversationId, post: &Post) -> KeyScope {
    let quarter = post.message.created_at.quarter();
    KeyScope::Conversation { person: post.sender, conversation: channel, quarter }
}

/// Those who are not in yet, each once, with the time at which they came.
fn added(channel: &Loaded<Conversation>, joins: &[Join], added_by: UserId) -> Vec<ConversationEvent> {
    let mut seen = HashSet::new();
    let is_new = |join: &&Join| channel.state.participant(join.user).is_none() && seen.insert(join.user);
    let event = |join: &Join| ConversationEvent::ParticipantAdded {
        user_id: join.user,
        role: Role::Member,
        added_by,
        joined_at: join.joined_at,
    };
    joins.iter().filter(is_new).map(event).collect()
}
