//! `hansard seed`: a workspace to look at, the same for the same seed.

use crate::{
    cli::{Context, Failure, Outcome},
    output::print_line,
};
use clap::Args;
use commands::{
    Commands,
    import::{Channel, Import, Join, Person, Post},
};
use domain::{
    ConversationId, MessageId, Timestamp, UserId,
    message::{MessageType, NewMessage},
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use std::process::ExitCode;

const FIRST_NAMES: [&str; 16] = [
    "Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Frances", "Tony", "Radia", "Dennis", "Lynn", "Ken", "Hedy",
    "John", "Margaret", "Leslie",
];
const LAST_NAMES: [&str; 12] = [
    "Keller",
    "Moreau",
    "Okafor",
    "Tanaka",
    "Silva",
    "Novak",
    "Haddad",
    "Lindqvist",
    "Rossi",
    "Nguyen",
    "Kaya",
    "Byrne",
];
const CHANNELS: [(&str, &str); 3] =
    [("general", "what concerns everyone"), ("releases", "what ships, and when"), ("kitchen", "lunch and leftovers")];
const OPENINGS: [&str; 8] = [
    "Has anyone looked at",
    "I have just finished",
    "We should talk about",
    "Good news on",
    "There is a question on",
    "Tomorrow I start with",
    "Please review",
    "Thanks for the help with",
];
const SUBJECTS: [&str; 8] = [
    "the import of the old archive",
    "the new office",
    "the quarterly figures",
    "the login page",
    "the backup drill",
    "the hiring plan",
    "the roof terrace",
    "the customer in Porto",
];
const ENDINGS: [&str; 6] = [
    "?",
    "; notes are in the usual place.",
    ", and it looks good.",
    ", by Thursday if you can.",
    " 🎉",
    ", more this afternoon.",
];
const REACTIONS: [&str; 4] = ["👍", "🎉", "😄", "👀"];
const BATCH: usize = 500;
/// Messages stand this far apart.
const STEP_MILLIS: i64 = 90_000;

/// Make a plausible workspace to try things on
///
/// The same seed makes the same people, channels and texts. People have no passwords.
#[derive(Debug, Args)]
pub struct Seed {
    /// How many people
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    users: u16,
    /// How many messages
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    messages: u32,
    /// What everything follows from
    #[arg(long = "seed", value_name = "N", default_value_t = 1)]
    number: u64,
}

impl Seed {
    pub async fn run(self, mut context: Context) -> Outcome {
        let (stores, process) = context.open_or_make_process().await?;
        let made = self.make(process.commands.clone()).await;
        process.close().await;
        stores.close().await;
        print_line(&format!("{} messages of {} people in the workspace Demo {}", made?, self.users, self.number))?;
        Ok(ExitCode::SUCCESS)
    }

    async fn make(&self, commands: Commands) -> Result<usize, Failure> {
        let namespace = format!("seed:{}:{}", self.number, self.users);
        let naming = Import::new(commands.clone(), namespace.clone(), UserId(uuid::Uuid::nil()));
        let mut rng = StdRng::seed_from_u64(self.number);
        let people: Vec<Person> = (0..self.users).map(|number| self.person(&naming, number, &mut rng)).collect();
        let ids: Vec<UserId> = people.iter().map(|person| person.id).collect();
        let mut import = Import::new(commands, namespace, ids[0]);
        for batch in people.chunks(BATCH) {
            import.people(batch, |_| String::new()).await?;
        }
        let workspace = import.id("workspace", "", Timestamp::default());
        import.workspace(workspace, &format!("Demo {}", self.number), &ids[1..], "").await?;
        let mut channels = Vec::new();
        let joined_at = import.now();
        for (name, description) in CHANNELS {
            let channel = Channel {
                id: import.id("channel", name, Timestamp::default()),
                name: name.to_owned(),
                description: Some(description.to_owned()),
                is_private: false,
                creator: ids[0],
                created_at: joined_at,
            };
            import.channel(workspace, &channel, "").await?;
            let joins: Vec<Join> = ids[1..].iter().map(|user| Join { user: *user, joined_at }).collect();
            for batch in joins.chunks(BATCH) {
                import.history(channel.id, batch, &[], |_| String::new()).await?;
            }
            channels.push(channel.id);
        }
        self.talk(&mut import, &channels, &ids, &mut rng).await
    }

    fn person(&self, import: &Import, number: u16, rng: &mut StdRng) -> Person {
        let first_name = (*FIRST_NAMES.choose(rng).unwrap_or(&"Ada")).to_owned();
        let last_name = (*LAST_NAMES.choose(rng).unwrap_or(&"Keller")).to_owned();
        let username = format!("{}.{}.{number}", first_name.to_lowercase(), self.number);
        Person {
            id: import.id("user", &number.to_string(), Timestamp::default()),
            email: format!("{username}@demo.example"),
            username,
            first_name,
            last_name,
            created_at: import.now(),
        }
    }

    async fn talk(
        &self,
        import: &mut Import,
        channels: &[ConversationId],
        people: &[UserId],
        rng: &mut StdRng,
    ) -> Result<usize, Failure> {
        let start = import.now().plus_millis(-STEP_MILLIS * i64::from(self.messages));
        let mut posts: Vec<Vec<Post>> = vec![Vec::new(); channels.len()];
        for number in 0..self.messages {
            let at = rng.random_range(0..channels.len());
            let created_at = start.plus_millis(STEP_MILLIS * i64::from(number));
            let earlier = posts[at].choose(rng).map(|post| post.message.thread_root.unwrap_or(post.id));
            let post =
                post(import, channels[at], number, created_at, earlier.filter(|_| rng.random_bool(0.2)), people, rng);
            posts[at].push(post);
        }
        let mut written = 0;
        for (channel, posts) in channels.iter().zip(&posts) {
            for batch in posts.chunks(BATCH) {
                written += import.history(*channel, &[], batch, |_| String::new()).await?.len();
            }
        }
        Ok(written)
    }
}

fn post(
    import: &Import,
    conversation: ConversationId,
    number: u32,
    created_at: Timestamp,
    root: Option<MessageId>,
    people: &[UserId],
    rng: &mut StdRng,
) -> Post {
    let mut word = |words: &[&'static str]| words.choose(rng).copied().unwrap_or_default();
    let content = format!("{} {}{}", word(&OPENINGS), word(&SUBJECTS), word(&ENDINGS));
    let reaction = REACTIONS.choose(rng).copied().unwrap_or_default().to_owned();
    let who = |rng: &mut StdRng| people.choose(rng).copied().unwrap_or(people[0]);
    let sender = who(rng);
    let reactions = if rng.random_bool(0.15) { vec![(who(rng), reaction)] } else { vec![] };
    Post {
        id: import.id("message", &number.to_string(), Timestamp::default()),
        sender,
        message: NewMessage {
            conversation,
            content,
            r#type: MessageType::Text,
            reply_to: root,
            thread_root: root,
            mentions: vec![],
            broadcast: None,
            client_message_id: None,
            created_at,
            may_be_empty: false,
        },
        edited_at: None,
        reactions,
    }
}
