//! [`Document`]: a message as it is indexed, and the fields that it is kept in. The text itself is not kept.

use crate::text::{Kind, pieces};
use domain::{ConversationId, MessageId, Position, Timestamp, UserId, message::MessageType};
use std::sync::LazyLock;
use tantivy::{
    TantivyDocument, Term,
    schema::{BytesOptions, FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions},
    tokenizer::{PreTokenizedString, Token},
};
use uuid::Uuid;

/// Rises with every change to the fields or to how texts are taken apart: an index of another format is made anew.
pub(crate) const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub id: MessageId,
    pub conversation: ConversationId,
    pub sender: UserId,
    /// Its number in its conversation.
    pub sequence: i64,
    /// Where it was sent.
    pub position: Position,
    pub created_at: Timestamp,
    pub text: String,
    pub has_file: bool,
}

/// Names of fields that are read by document.
pub(crate) mod column {
    pub const ID: [&str; 2] = ["id_high", "id_low"];
    pub const CONVERSATION: [&str; 2] = ["conversation_high", "conversation_low"];
    pub const SEQUENCE: &str = "sequence";
    pub const CREATED: &str = "created_at";
}

pub(crate) struct Fields {
    pub schema: Schema,
    pub text: Field,
    pub id: Field,
    pub conversation: Field,
    pub sender: Field,
    pub has: Field,
    id_columns: [Field; 2],
    conversation_columns: [Field; 2],
    sequence: Field,
    created_at: Field,
}

pub(crate) static FIELDS: LazyLock<Fields> = LazyLock::new(|| {
    let mut schema = Schema::builder();
    let text =
        TextFieldIndexing::default().set_tokenizer("raw").set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let key = || BytesOptions::default().set_indexed();
    let text = schema.add_text_field("text", TextOptions::default().set_indexing_options(text));
    let id = schema.add_bytes_field("id", key());
    let conversation = schema.add_bytes_field("conversation", key());
    let sender = schema.add_bytes_field("sender", key());
    let has = schema.add_u64_field("has", INDEXED);
    let id_columns = column::ID.map(|name| schema.add_u64_field(name, FAST));
    let conversation_columns = column::CONVERSATION.map(|name| schema.add_u64_field(name, FAST));
    let sequence = schema.add_i64_field(column::SEQUENCE, FAST);
    let created_at = schema.add_i64_field(column::CREATED, FAST);
    let schema = schema.build();
    Fields { schema, text, id, conversation, sender, has, id_columns, conversation_columns, sequence, created_at }
});

/// What of `has:` is in the index, as numbers of the field.
pub(crate) const HAS_LINK: u64 = 1;
pub(crate) const HAS_FILE: u64 = 2;

impl Fields {
    pub fn term_of(field: Field, id: Uuid) -> Term {
        Term::from_field_bytes(field, id.as_bytes())
    }
}

impl Fields {
    /// Those that documents are found by.
    pub fn indexed(&self) -> [Field; 5] {
        [self.text, self.id, self.conversation, self.sender, self.has]
    }
}

impl Document {
    pub fn to_tantivy(&self) -> TantivyDocument {
        let fields = &*FIELDS;
        let mut document = TantivyDocument::default();
        let text = PreTokenizedString { text: String::new(), tokens: tokens(&self.text) };
        document.add_pre_tokenized_text(fields.text, text);
        document.add_bytes(fields.id, self.id.0.as_bytes());
        document.add_bytes(fields.conversation, self.conversation.0.as_bytes());
        document.add_bytes(fields.sender, self.sender.0.as_bytes());
        for (columns, id) in [(fields.id_columns, self.id.0), (fields.conversation_columns, self.conversation.0)] {
            let (high, low) = id.as_u64_pair();
            document.add_u64(columns[0], high);
            document.add_u64(columns[1], low);
        }
        document.add_i64(fields.sequence, self.sequence);
        document.add_i64(fields.created_at, self.created_at.0);
        if has_link(&self.text) {
            document.add_u64(fields.has, HAS_LINK);
        }
        if self.has_file {
            document.add_u64(fields.has, HAS_FILE);
        }
        document
    }
}

/// The terms of a text. A sign stands for itself and, with the next one, for the pair: runs of signs are found by their
/// pairs, which are rarer.
fn tokens(text: &str) -> Vec<Token> {
    let pieces = pieces(text);
    let mut tokens = Vec::with_capacity(pieces.len());
    for (position, piece) in pieces.iter().enumerate() {
        let token =
            |text: String| Token { offset_from: piece.start, offset_to: piece.end, position, text, position_length: 1 };
        tokens.push(token(piece.text.clone()));
        if piece.kind == Kind::Sign
            && let Some(next) = pieces.get(position + 1).filter(|next| next.kind == Kind::Sign)
        {
            tokens.push(token(format!("{}{}", piece.text, next.text)));
        }
    }
    tokens
}

fn has_link(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        let mut found = text.match_indices(scheme);
        found.any(|(at, _)| text[at + scheme.len()..].chars().next().is_some_and(char::is_alphanumeric))
    })
}

pub(crate) fn is_file(kind: MessageType) -> bool {
    match kind {
        MessageType::Image | MessageType::Video | MessageType::Audio | MessageType::File => true,
        MessageType::Text => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_indexed_alone_and_in_pairs() {
        let found: Vec<(usize, String)> =
            tokens("a東京b").into_iter().map(|token| (token.position, token.text)).collect();
        let expected = [(0, "a"), (1, "東"), (1, "東京"), (2, "京"), (3, "b")];
        assert_eq!(found, expected.map(|(position, text)| (position, text.to_owned())));
    }

    #[test]
    fn a_link_needs_more_than_its_scheme() {
        assert!(has_link("see https://example.org"));
        assert!(!has_link("https:// is how they begin"));
    }
}
