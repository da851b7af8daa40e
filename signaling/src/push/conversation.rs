//! [`created`] and its likes: what is told of a conversation, of who is in it, and of a workspace.

use super::Push;
use domain::{
    ConversationId, Timestamp, UserId, WorkspaceId,
    conversation::{ConversationChanges, ConversationEvent, Founder, Role},
};
use projections::{
    conversation::{ConversationView, FIRST_PARTICIPANTS, ParticipantView},
    user::UserSummary,
};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// What differs from one who gets it to the next is left out.
const OWN: [&str; 3] = ["isMuted", "isPinned", "role"];

/// Those of a conversation's founders who are shown with it.
pub(super) fn shown(founders: &[Founder]) -> &[Founder] {
    let shown = usize::try_from(FIRST_PARTICIPANTS).unwrap_or(usize::MAX);
    &founders[..founders.len().min(shown)]
}

/// None where the event is another one.
pub(super) fn created(
    id: ConversationId,
    event: &ConversationEvent,
    people: &HashMap<UserId, UserSummary>,
) -> Option<Push> {
    let ConversationEvent::Created {
        r#type,
        history,
        name,
        description,
        avatar_url,
        is_private,
        max_members,
        workspace_id,
        created_by,
        participants,
        created_at,
    } = event
    else {
        return None;
    };
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let view = ConversationView {
        id,
        r#type: *r#type,
        history: *history,
        name: filled(name),
        description: filled(description),
        topic: None,
        avatar_url: filled(avatar_url),
        is_private: *is_private,
        is_archived: false,
        max_members: Some(*max_members).filter(|max| *max < u32::MAX).map(i64::from),
        workspace_id: *workspace_id,
        created_by: *created_by,
        last_message: None,
        last_message_at: None,
        unread_count: 0,
        mention_count: 0,
        participants: shown(participants).iter().map(|f| participant(f, *created_by, *created_at, people)).collect(),
        participant_count: i64::try_from(participants.len()).unwrap_or(i64::MAX),
        is_muted: false,
        is_pinned: false,
        role: None,
        created_at: *created_at,
        updated_at: *created_at,
    };
    let mut conversation = serde_json::to_value(view).unwrap_or_default();
    if let Value::Object(fields) = &mut conversation {
        for own in OWN {
            fields.remove(own);
        }
    }
    Some(Push::new("conversation:created", &json!({"conversation": conversation})))
}

fn participant(
    founder: &Founder,
    added_by: UserId,
    joined_at: Timestamp,
    people: &HashMap<UserId, UserSummary>,
) -> ParticipantView {
    ParticipantView {
        user_id: founder.user_id,
        user: people.get(&founder.user_id).cloned(),
        role: founder.role,
        joined_at,
        last_read_at: None,
        added_by,
    }
}

pub(super) fn updated(id: ConversationId, changes: &ConversationChanges) -> Push {
    let mut updates = match serde_json::to_value(changes) {
        Ok(Value::Object(updates)) => updates,
        Ok(_) | Err(_) => Map::new(),
    };
    // An empty text clears: readers see null.
    for value in updates.values_mut().filter(|value| value.as_str() == Some("")) {
        *value = Value::Null;
    }
    Push::new("conversation:updated", &json!({"conversationId": id, "updates": updates}))
}

pub(super) fn deleted(id: ConversationId) -> Push {
    Push::new("conversation:deleted", &json!({"conversationId": id}))
}

pub(super) fn participant_added(id: ConversationId, user: UserId, role: Role) -> Push {
    Push::new("participant:added", &json!({"conversationId": id, "userId": user, "role": role}))
}

pub(super) fn participant_removed(id: ConversationId, user: UserId) -> Push {
    Push::new("participant:removed", &json!({"conversationId": id, "userId": user}))
}

pub(super) fn role_changed(id: ConversationId, user: UserId, role: Role) -> Push {
    Push::new("participant:updated", &json!({"conversationId": id, "userId": user, "role": role}))
}

/// To oneself alone.
pub(super) fn preference_changed(
    id: ConversationId,
    user: UserId,
    is_muted: Option<bool>,
    is_pinned: Option<bool>,
) -> Push {
    let mut data = json!({"conversationId": id, "userId": user});
    for (field, value) in [("isMuted", is_muted), ("isPinned", is_pinned)] {
        if let Some(value) = value {
            data[field] = value.into();
        }
    }
    Push::new("participant:updated", &data)
}

pub(super) fn member_added(id: WorkspaceId, user: UserId) -> Push {
    Push::new("workspace:member:added", &json!({"workspaceId": id, "userId": user}))
}
