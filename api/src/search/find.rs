//! [`Search`]: names are resolved by the read models, words found by the index, hits shown by the read models again.

use super::{Hit, HitKind, HitType, SearchResult};
use crate::{App, Problem, page::Page};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use domain::{MessageId, UserId};
use projections::search::{self, ReadableConversation};
use search_index::{
    highlights,
    query::{Named, Parsed},
    search::{Answer, DEPTH_MAX, Found, Order, Question, Readable, Scope},
};

/// Of people, who come before messages: above any score of a message.
const PERSON_SCORE: f32 = 1_000.0;

pub(super) struct Search<'a> {
    pub app: &'a App,
    pub user: UserId,
    pub query: Parsed,
    pub order: Order,
    pub after: Option<Found>,
}

impl Search<'_> {
    /// All but the time it took.
    pub async fn run(&self, kind: Option<HitType>, page: Page) -> Result<SearchResult, Problem> {
        let (limit, offset) = (u64::from(page.limit()), u64::from(page.offset()));
        let (wants_people, wants_messages) = match kind {
            Some(HitType::Users) => (true, false),
            Some(HitType::Messages) => (false, true),
            // There are no files yet that could be found.
            Some(HitType::Files) => (false, false),
            None => (self.after.is_none(), true),
        };
        let (mut hits, mut total) = (vec![], 0);
        if wants_people {
            (hits, total) = self.people(limit, offset).await?;
        }
        let mut next_cursor = None;
        if wants_messages {
            let (room, offset) = (limit - hits.len() as u64, offset.saturating_sub(total));
            let (messages, count, last) = self.messages(room, offset).await?;
            hits.extend(messages);
            total += count;
            next_cursor = last.filter(|_| kind.is_some()).map(|last| write_cursor(&last));
        }
        Ok(SearchResult { hits, total, took_ms: 0, next_cursor })
    }

    /// By their names, where nothing but words is asked for.
    async fn people(&self, limit: u64, offset: u64) -> Result<(Vec<Hit>, u64), Problem> {
        let Some(words) = self.query.plain_words() else { return Ok((vec![], 0)) };
        let (limit, offset) = (i64::try_from(limit).unwrap_or(0), i64::try_from(offset).unwrap_or(i64::MAX));
        let (people, total) = search::people(&self.app.views, words.trim_end_matches('*'), limit, offset).await?;
        let hit = |user: projections::user::UserView| {
            let name = format!("{} {} {}", user.username, user.first_name, user.last_name);
            let highlights = highlights(&self.query, &name);
            Hit { r#type: HitKind::User, score: PERSON_SCORE, highlights, message: None, user: Some(user) }
        };
        Ok((people.into_iter().map(hit).collect(), total))
    }

    /// A page of messages, the number of all, and the last one where there may be more.
    async fn messages(&self, limit: u64, offset: u64) -> Result<(Vec<Hit>, u64, Option<Found>), Problem> {
        let Some(question) = self.question(limit, offset).await? else { return Ok((vec![], 0, None)) };
        let limit = question.limit;
        let Answer { hits: found, total, .. } = self.app.search.ask(question).await?;
        let ids: Vec<MessageId> = found.iter().map(|found| found.id).collect();
        let mut messages = search::messages(&self.app.views, self.user, &ids).await?;
        let mut hits = Vec::with_capacity(found.len());
        for found in &found {
            let Some(message) = messages.remove(&found.id) else { continue };
            let highlights = highlights(&self.query, message.content.as_deref().unwrap_or_default());
            let score = found.score;
            hits.push(Hit { r#type: HitKind::Message, score, highlights, message: Some(message), user: None });
        }
        // What the read models don't show is being deleted, or is so new that only the index has it.
        let total = total.saturating_sub((found.len() - hits.len()) as u64);
        let last = found.last().copied().filter(|_| found.len() == limit);
        Ok((hits, total, last))
    }

    /// None where it is known that nothing can be found.
    async fn question(&self, limit: u64, offset: u64) -> Result<Option<Question>, Problem> {
        let query = &self.query;
        if query.is_empty() {
            return Ok(None);
        }
        let named: Vec<String> = query.from.iter().map(|named| named.name.to_lowercase()).collect();
        let people = search::people_named(&self.app.views, &named).await?;
        let of = |named: &Named| match named.name.to_lowercase().as_str() {
            "me" => Some(self.user),
            name => people.get(name).copied(),
        };
        let mut senders: Vec<UserId> = query.from.iter().filter(|named| !named.is_excluded).filter_map(of).collect();
        senders.dedup();
        let names_senders = query.from.iter().any(|named| !named.is_excluded);
        let senders_excluded = query.from.iter().filter(|named| named.is_excluded).filter_map(of).collect();
        let readable = search::readable(&self.app.views, self.user).await?;
        let scope = Scope::of(
            readable
                .iter()
                .filter(|one| self.is_in(one))
                .map(|one| Readable { conversation: one.id, floor: one.floor }),
        );
        if scope.is_empty() || names_senders && senders.is_empty() {
            return Ok(None);
        }
        Ok(Some(Question {
            clauses: query.clauses.clone(),
            has: query.has.clone(),
            senders: names_senders.then_some(senders),
            senders_excluded,
            since: query.since,
            until: query.until,
            scope,
            order: self.order,
            after: self.after,
            offset: usize::try_from(offset).unwrap_or(DEPTH_MAX),
            limit: usize::try_from(limit).unwrap_or(0),
        }))
    }

    /// Whether `in:` lets a conversation through.
    fn is_in(&self, conversation: &ReadableConversation) -> bool {
        let name = conversation.name.as_deref().unwrap_or_default().to_lowercase();
        let is_named = |named: &Named| !name.is_empty() && named.name.to_lowercase() == name;
        let mut wanted = self.query.r#in.iter().filter(|named| !named.is_excluded).peekable();
        let is_wanted = wanted.peek().is_none() || wanted.any(is_named);
        is_wanted && !self.query.r#in.iter().filter(|named| named.is_excluded).any(is_named)
    }
}

/// A cursor is the last hit, by which its place is found again whatever comes or goes.
fn write_cursor(last: &Found) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(last).unwrap_or_default())
}

pub(super) fn read_cursor(cursor: &str) -> Option<Found> {
    let found: Found = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    Some(found).filter(|found| found.score.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;

    #[test]
    fn a_cursor_names_the_hit_it_was_made_of() {
        let found =
            Found { id: MessageId(uuid::Uuid::from_u128(7)), created_at: Timestamp(1_769_846_400_000), score: 1.2345 };
        assert_eq!(read_cursor(&write_cursor(&found)), Some(found));
        for garbage in ["", "x", "bnVsbA", "e30", "\u{e9}"] {
            assert_eq!(read_cursor(garbage), None);
        }
    }
}
