//! Workspaces: tenants. For non-members, a workspace seems not to exist.
//!
//! [`Permission`] defines what each role may do. Guests have access only to conversations that they
//! were added to. They can't create conversations, and see only the people and assistants in their
//! own. A personal workspace belongs to one person as long as their account exists; the shared one
//! belongs to the installation, which names it; the others are teams.

pub mod admin;
mod departure;
mod domains;
pub mod emoji;
pub mod invitations;
mod members;

use std::collections::HashMap;

pub use departure::{DepartureJob, submit_all};
pub use domains::{join, joinable};
pub use members::{MemberIdentifier, NewWorkspaceMember, add_member, leave, members, remove_member, set_role};

use appcore::{
    AppError, Code, WorkspaceId,
    auth::{Permission, Principal},
    page::{Page, PageRequest},
    text_field::parse_workspace_name,
    view::{Workspace, WorkspaceRole},
};
use dbcontext::{
    Transaction,
    constraint::app_error,
    query::{
        users, workspace_domains,
        workspaces::{self as rows, SeenWorkspace, WorkspaceKind},
    },
};
use identity::membership::{WorkspaceChangeEvent, authorize_in, default_channel};
use platform::{
    audit::{self, Action, NewAuditEntry},
    cleanup,
};
use sea_orm::ConnectionTrait;

use crate::ConversationsService;

const MAX_NAME_CHARS: usize = 80;
/// Maximum number of workspaces a user may own.
const MAX_OWNED: u64 = 100;

/// Partial update of a workspace; `None` leaves a value unchanged.
#[derive(Default)]
pub struct WorkspaceUpdate {
    pub name: Option<String>,
    pub join_domains: Option<Vec<String>>,
}

/// Workspaces of the caller.
pub async fn list(
    service: &ConversationsService,
    by: &Principal,
    page: PageRequest,
) -> Result<Page<Workspace>, AppError> {
    let (seen, total) = rows::list(service.db.reader(), by.user_id, page).await?;
    Ok(Page::new(views(service.db.reader(), by, seen).await?, page, total))
}

pub async fn find(service: &ConversationsService, by: &Principal, id: WorkspaceId) -> Result<Workspace, AppError> {
    find_in(service.db.reader(), by, id).await
}

async fn find_in<C: ConnectionTrait>(db: &C, by: &Principal, id: WorkspaceId) -> Result<Workspace, AppError> {
    let seen = rows::find(db, by.user_id, id).await?.ok_or(Code::NotFound)?;
    views(db, by, vec![seen]).await?.pop().ok_or_else(|| Code::NotFound.into())
}

/// Builds the views of workspaces; only administrators of a workspace see its domains.
async fn views<C: ConnectionTrait>(
    db: &C,
    by: &Principal,
    seen: Vec<SeenWorkspace>,
) -> Result<Vec<Workspace>, AppError> {
    let mut workspaces = seen.into_iter().map(|row| row.view(by.user_id)).collect::<Vec<_>>();
    let configured = |workspace: &Workspace| workspace.role.may(Permission::Configure);
    let ids: Vec<WorkspaceId> = workspaces.iter().filter(|one| configured(one)).map(|one| one.id).collect();
    let mut domains: HashMap<WorkspaceId, Vec<String>> = HashMap::new();
    for (id, domain) in workspace_domains::by_workspaces(db, &ids).await? {
        domains.entry(id).or_default().push(domain);
    }
    for workspace in workspaces.iter_mut().filter(|one| configured(one)) {
        workspace.join_domains = Some(domains.remove(&workspace.id).unwrap_or_default());
    }
    Ok(workspaces)
}

/// Creates a workspace owned by the caller.
pub async fn create(
    service: &ConversationsService,
    by: &Principal,
    name: &str,
    join_domains: &[String],
) -> Result<Workspace, AppError> {
    let name = parse_workspace_name("name", name, MAX_NAME_CHARS)?;
    let (id, now) = (WorkspaceId::new(), service.clock.now());
    let tx = service.db.begin().await.map_err(app_error)?;
    let user = users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    if rows::count_owned(&tx, by.user_id).await? >= MAX_OWNED {
        return Err(AppError::refused(Code::WrongState, format!("You can own up to {MAX_OWNED} workspaces.")));
    }
    let join_domains = domains::validate_domains(join_domains, &[], &user)?;
    rows::insert(&tx, id, &name, WorkspaceKind::Team, Some(by.user_id), now).await?;
    rows::add(&tx, id, by.user_id, WorkspaceRole::Owner, now).await?;
    default_channel::create(&tx, id, by.user_id, now).await?;
    let channel = default_channel::sync_member(&tx, id, by.user_id, WorkspaceRole::Owner, now).await?;
    workspace_domains::replace(&tx, id, &join_domains).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::WorkspaceCreated, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    WorkspaceChangeEvent::user_joined(id, by.user_id).publish(&service.identity);
    channel.publish(&service.identity);
    find_in(service.db.writer(), by, id).await
}

/// Changes a workspace's name and its allowed mail domains.
pub async fn update(
    service: &ConversationsService,
    by: &Principal,
    id: WorkspaceId,
    change: WorkspaceUpdate,
) -> Result<Workspace, AppError> {
    let name = change.name.as_deref().map(|name| parse_workspace_name("name", name, MAX_NAME_CHARS)).transpose()?;
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::lock(&tx, id).await?;
    let seen = authorize_in(&tx, by, id, Permission::Configure).await?;
    if let Some(name) = name.filter(|name| *name != seen.name) {
        if seen.kind == WorkspaceKind::Shared && service.config.names_shared_workspace() {
            return Err(wrong_state("This workspace's name is set in the server's configuration."));
        }
        rows::rename(&tx, id, &name, service.clock.now()).await?;
    }
    if let Some(wanted) = change.join_domains {
        let known: Vec<String> =
            workspace_domains::by_workspaces(&tx, &[id]).await?.into_iter().map(|(_, domain)| domain).collect();
        let user = users::by_id(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
        let domains = domains::validate_domains(&wanted, &known, &user)?;
        if !domains.is_empty() && seen.kind != WorkspaceKind::Team {
            return Err(wrong_state("Email domains can only be used with team workspaces."));
        }
        workspace_domains::replace(&tx, id, &domains).await?;
    }
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::WorkspaceChanged, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    WorkspaceChangeEvent::to_all(id).publish(&service.identity);
    find_in(service.db.writer(), by, id).await
}

/// Deletes a workspace with all its conversations, for everybody.
pub async fn delete(service: &ConversationsService, by: &Principal, id: WorkspaceId) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::lock(&tx, id).await?;
    let seen = authorize_in(&tx, by, id, Permission::Delete).await?;
    if seen.kind != WorkspaceKind::Team {
        return Err(wrong_state("Only team workspaces can be deleted."));
    }
    delete_rows(&tx, service, id).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::WorkspaceDeleted, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    WorkspaceChangeEvent::workspace_ended(id).publish(&service.identity);
    departure::dissolve(service, id).await
}

/// Deletes a workspace that the caller has locked.
async fn delete_rows(tx: &Transaction, service: &ConversationsService, id: WorkspaceId) -> Result<(), AppError> {
    let now = service.clock.now();
    rows::delete(tx, id, now).await?;
    departure::enqueue_cleanup(tx, now, id, None).await?;
    emoji::remove_ended(tx, id, now).await?;
    cleanup::enqueue_knowledge_sweep(tx, now).await
}

fn wrong_state(sentence: &'static str) -> AppError {
    AppError::refused(Code::WrongState, sentence)
}
