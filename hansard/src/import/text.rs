//! Slack's message markup as plain text: entities, links, mentions.

use domain::{UserId, message::Broadcast};
use std::collections::HashMap;

/// What a text says, and whom it means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    pub content: String,
    pub mentions: Vec<UserId>,
    pub broadcast: Option<Broadcast>,
}

/// Slack's user id → person and username.
pub type People = HashMap<String, (UserId, String)>;
/// Slack's channel id → name.
pub type ChannelNames = HashMap<String, String>;

/// Reads Slack's markup: `<@U1>`, `<#C1|name>`, `<!channel>`, `<https://…|label>`, and `&lt; &gt; &amp;`.
pub fn read(markup: &str, people: &People, channels: &ChannelNames) -> Text {
    let mut text = Text::default();
    let mut rest = markup;
    while let Some(open) = rest.find('<') {
        push_unescaped(&mut text.content, &rest[..open]);
        let Some(length) = rest[open..].find('>') else {
            push_unescaped(&mut text.content, &rest[open..]);
            return text;
        };
        push_reference(&mut text, &rest[open + 1..open + length], people, channels);
        rest = &rest[open + length + 1..];
    }
    push_unescaped(&mut text.content, rest);
    text
}

fn push_reference(text: &mut Text, reference: &str, people: &People, channels: &ChannelNames) {
    let (target, label) = match reference.split_once('|') {
        Some((target, label)) => (target, Some(label)),
        None => (reference, None),
    };
    if let Some(id) = target.strip_prefix('@') {
        push_person(text, id, label, people);
    } else if let Some(id) = target.strip_prefix('#') {
        text.content.push('#');
        text.content.push_str(label.or_else(|| channels.get(id).map(String::as_str)).unwrap_or(id));
    } else if let Some(special) = target.strip_prefix('!') {
        push_special(text, special, label);
    } else {
        match label {
            Some(label) if label != target => {
                push_unescaped(&mut text.content, label);
                text.content.push_str(" (");
                push_unescaped(&mut text.content, target);
                text.content.push(')');
            }
            Some(_) | None => push_unescaped(&mut text.content, target),
        }
    }
}

fn push_person(text: &mut Text, id: &str, label: Option<&str>, people: &People) {
    text.content.push('@');
    match people.get(id) {
        Some((user, username)) => {
            text.content.push_str(username);
            if !text.mentions.contains(user) {
                text.mentions.push(*user);
            }
        }
        None => text.content.push_str(label.unwrap_or(id)),
    }
}

fn push_special(text: &mut Text, special: &str, label: Option<&str>) {
    match special.split('^').next().unwrap_or(special) {
        "channel" | "everyone" => {
            text.broadcast = Some(Broadcast::Channel);
            text.content.push_str("@channel");
        }
        "here" => {
            text.broadcast = text.broadcast.or(Some(Broadcast::Here));
            text.content.push_str("@here");
        }
        other => push_unescaped(&mut text.content, label.unwrap_or(other)),
    }
}

/// Exactly three entities exist, and each is read once: `&amp;lt;` is the text `&lt;`.
fn push_unescaped(content: &mut String, mut escaped: &str) {
    while let Some(at) = escaped.find('&') {
        content.push_str(&escaped[..at]);
        let (length, c) = match &escaped[at..] {
            entity if entity.starts_with("&lt;") => (4, '<'),
            entity if entity.starts_with("&gt;") => (4, '>'),
            entity if entity.starts_with("&amp;") => (5, '&'),
            _ => (1, '&'),
        };
        content.push(c);
        escaped = &escaped[at + length..];
    }
    content.push_str(escaped);
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn read_plain(markup: &str) -> Text {
        let people = People::from([("U1".to_owned(), (UserId(Uuid::from_u128(1)), "ada".to_owned()))]);
        read(markup, &people, &ChannelNames::from([("C2".to_owned(), "random".to_owned())]))
    }

    #[test]
    fn markup_becomes_text() {
        for (markup, content) in [
            ("Hello &amp; welcome &lt;all&gt;", "Hello & welcome <all>"),
            ("&amp;lt; & &x", "&lt; & &x"),
            ("hi <@U1>, see <#C2|other> and <#C2>", "hi @ada, see #other and #random"),
            ("<@U9> <@U9|zoe>", "@U9 @zoe"),
            ("<https://e.com/a?b=1&amp;c=2|the docs>", "the docs (https://e.com/a?b=1&c=2)"),
            ("<https://e.com>", "https://e.com"),
            ("1 < 2", "1 < 2"),
            ("<!subteam^S1|@team> <!date^1|today>", "@team today"),
            ("", ""),
        ] {
            assert_eq!(read_plain(markup).content, content, "{markup}");
        }
    }

    #[test]
    fn mentions_are_people_and_broadcasts_are_kept() {
        let text = read_plain("<@U1> <@U1> <!here> <!channel>");
        assert_eq!((text.mentions.len(), text.broadcast), (1, Some(Broadcast::Channel)));
        assert_eq!(text.content, "@ada @ada @here @channel");
    }
}
