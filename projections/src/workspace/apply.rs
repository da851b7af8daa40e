//! [`apply`]: the rows of workspaces, members and links that a batch touches are read, folded and written back once.

mod store;

use crate::{
    ProjectionError,
    batch::{Event, Fact},
};
use domain::{
    Position, Timestamp, UserId,
    workspace::{WorkspaceEvent, WorkspaceRole},
};
use sqlx::PgConnection;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

struct WorkspaceRow {
    name: String,
    description: Option<String>,
    avatar_url: Option<String>,
    owner_id: Uuid,
    member_count: i32,
    created_at: Timestamp,
    changed_position: Position,
    deleted_position: Option<Position>,
}

struct MemberRow {
    role: WorkspaceRole,
    invited_by: Option<Uuid>,
    joined_at: Timestamp,
    joined_position: Position,
    changed_position: Position,
}

struct LinkRow {
    workspace_id: Uuid,
    role: WorkspaceRole,
    expires_at: Option<Timestamp>,
    max_uses: Option<i64>,
    uses: i64,
    created_by: Uuid,
    created_at: Timestamp,
    created_position: Position,
}

/// All rows that a batch touches.
#[derive(Default)]
struct Rows {
    workspaces: HashMap<Uuid, WorkspaceRow>,
    /// By workspace and person.
    members: HashMap<(Uuid, Uuid), MemberRow>,
    /// By the code's hash. None once revoked.
    links: HashMap<String, Option<LinkRow>>,
}

pub(crate) async fn apply(
    tx: &mut PgConnection,
    batch: &[Fact],
    _keyring: &event_store::Keyring,
) -> Result<(), ProjectionError> {
    let facts = batch.iter().filter_map(of_a_workspace).collect::<Result<Vec<_>, _>>()?;
    if facts.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::load(tx, &facts).await?;
    for (id, fact, event) in facts {
        rows.fold(id, fact, event)?;
    }
    rows.store(tx).await
}

fn of_a_workspace(fact: &Fact) -> Option<Result<(Uuid, &Fact, &WorkspaceEvent), ProjectionError>> {
    let Event::Workspace(event) = &fact.event else { return None };
    let id = fact.aggregate_id.parse();
    Some(id.map(|id| (id, fact, event)).map_err(|error: uuid::Error| inapplicable(fact, &error.to_string())))
}

fn inapplicable(fact: &Fact, reason: &str) -> ProjectionError {
    ProjectionError::Inapplicable { position: fact.position, reason: reason.to_owned() }
}

impl Rows {
    async fn load(tx: &mut PgConnection, facts: &[(Uuid, &Fact, &WorkspaceEvent)]) -> Result<Self, ProjectionError> {
        let (mut workspaces, mut members, mut links) = (HashSet::new(), HashSet::new(), HashSet::new());
        for (id, _, event) in facts {
            workspaces.insert(*id);
            match event {
                WorkspaceEvent::Created { .. } | WorkspaceEvent::Deleted { .. } => {}
                WorkspaceEvent::InviteLinkCreated { code_hash, .. }
                | WorkspaceEvent::InviteLinkRevoked { code_hash } => {
                    links.insert(code_hash.clone());
                }
                WorkspaceEvent::MemberJoined { user_id, code_hash, .. } => {
                    members.insert((*id, user_id.0));
                    links.extend(code_hash.clone());
                }
                WorkspaceEvent::MemberRoleChanged { user_id, .. } => {
                    members.insert((*id, user_id.0));
                }
            }
        }
        Ok(Self {
            workspaces: store::workspaces(tx, workspaces).await?,
            members: store::members(tx, members).await?,
            links: store::links(tx, links).await?,
        })
    }

    fn fold(&mut self, id: Uuid, fact: &Fact, event: &WorkspaceEvent) -> Result<(), ProjectionError> {
        if let WorkspaceEvent::Created { name, description, avatar_url, owner_id, created_at } = event {
            let row = WorkspaceRow {
                name: name.clone(),
                description: description.clone().filter(|text| !text.is_empty()),
                avatar_url: avatar_url.clone().filter(|url| !url.is_empty()),
                owner_id: owner_id.0,
                member_count: 0,
                created_at: *created_at,
                changed_position: fact.position,
                deleted_position: None,
            };
            self.workspaces.insert(id, row);
        }
        let Self { workspaces, members, links } = self;
        let workspace =
            workspaces.get_mut(&id).ok_or_else(|| inapplicable(fact, "the workspace was not created before"))?;
        workspace.changed_position = fact.position;
        match event {
            WorkspaceEvent::Created { owner_id, created_at, .. } => {
                let owner = MemberRow::new(WorkspaceRole::Owner, None, *created_at, fact.position);
                join(workspace, members, (id, owner_id.0), owner);
            }
            WorkspaceEvent::Deleted { .. } => workspace.deleted_position = Some(fact.position),
            WorkspaceEvent::InviteLinkCreated { code_hash, role, expires_at, max_uses, created_by } => {
                let link = LinkRow {
                    workspace_id: id,
                    role: *role,
                    expires_at: *expires_at,
                    max_uses: max_uses.map(i64::from),
                    uses: 0,
                    created_by: created_by.0,
                    created_at: fact.recorded_at,
                    created_position: fact.position,
                };
                links.insert(code_hash.clone(), Some(link));
            }
            WorkspaceEvent::InviteLinkRevoked { code_hash } => {
                links.insert(code_hash.clone(), None);
            }
            WorkspaceEvent::MemberJoined { user_id, role, invited_by, code_hash, joined_at } => {
                join(
                    workspace,
                    members,
                    (id, user_id.0),
                    MemberRow::new(*role, *invited_by, *joined_at, fact.position),
                );
                if let Some(link) = code_hash.as_ref().and_then(|hash| links.get_mut(hash)).and_then(Option::as_mut) {
                    link.uses += 1;
                }
            }
            WorkspaceEvent::MemberRoleChanged { user_id, role } => {
                let member = members
                    .get_mut(&(id, user_id.0))
                    .ok_or_else(|| inapplicable(fact, "the person did not join before"))?;
                member.role = *role;
                member.changed_position = fact.position;
            }
        }
        Ok(())
    }
}

fn join(
    workspace: &mut WorkspaceRow,
    members: &mut HashMap<(Uuid, Uuid), MemberRow>,
    key: (Uuid, Uuid),
    member: MemberRow,
) {
    if members.insert(key, member).is_none() {
        workspace.member_count += 1;
    }
}

impl MemberRow {
    fn new(role: WorkspaceRole, invited_by: Option<UserId>, joined_at: Timestamp, at: Position) -> Self {
        Self { role, invited_by: invited_by.map(|id| id.0), joined_at, joined_position: at, changed_position: at }
    }
}
