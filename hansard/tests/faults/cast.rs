//! [`Cast`]: people who are signed in, and the conversations that they share.

use serde_json::{Value, json};

pub struct Cast {
    pub people: Vec<Person>,
    pub talks: Vec<Talk>,
}

pub struct Person {
    pub name: String,
    pub id: String,
    pub token: String,
}

/// A conversation, and who of the people are in it.
pub struct Talk {
    pub id: String,
    pub members: Vec<usize>,
}

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

impl Cast {
    /// Four people: a group of all, one of three, and a direct conversation.
    pub async fn gather(base: &str) -> Self {
        let mut people = Vec::new();
        for name in NAMES {
            people.push(register(base, name).await);
        }
        let ids = |members: &[usize]| members.iter().map(|n| people[*n].id.clone()).collect::<Vec<_>>();
        let group = |name: &str, members: &[usize]| json!({"name": name, "participantIds": ids(members)});
        let direct = json!({"type": "direct", "participantIds": ids(&[3])});
        let talks = [
            (open(base, &people[0], "groups", &group("All", &[1, 2, 3])).await, vec![0, 1, 2, 3]),
            (open(base, &people[1], "groups", &group("Three", &[2, 3])).await, vec![1, 2, 3]),
            (open(base, &people[0], "conversations", &direct).await, vec![0, 3]),
        ];
        let talks = talks.into_iter().map(|(id, members)| Talk { id, members }).collect();
        Self { people, talks }
    }

    /// The conversations that a person is in.
    pub fn talks_of(&self, person: usize) -> Vec<usize> {
        (0..self.talks.len()).filter(|talk| self.talks[*talk].members.contains(&person)).collect()
    }
}

async fn register(base: &str, name: &str) -> Person {
    let body = json!({
        "email": format!("{name}@example.org"), "username": name, "password": "correct horse battery staple",
        "firstName": name, "lastName": "Example",
    });
    let data = created(reqwest::Client::new().post(format!("{base}/api/auth/register")).json(&body)).await;
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    Person { name: name.to_owned(), id: text(&data["user"]["id"]), token: text(&data["accessToken"]) }
}

async fn open(base: &str, person: &Person, route: &str, body: &Value) -> String {
    let request = reqwest::Client::new().post(format!("{base}/api/{route}")).bearer_auth(&person.token);
    created(request.json(body)).await["id"].as_str().expect("an id").to_owned()
}

async fn created(request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
    assert_eq!(status, 201, "{body}");
    body["data"].clone()
}
