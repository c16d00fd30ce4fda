//! Definitions of assistants and prompts. Answers are in [`answering`](crate::answering).
//!
//! The default assistant belongs to no workspace and is available in all; it answers chats that
//! name no other one.

mod change_events;
mod edit;
pub mod instructions;
pub mod prompts;

use appcore::{
    AppError, AssistantId, Code, WorkspaceId,
    auth::{Permission, Principal},
    page::{Page, PageRequest},
    view::{Assistant, WorkspaceRole},
};
use dbcontext::{entity::assistant, query};
use identity::membership;

use crate::AssistantsService;
pub use edit::{AssistantFields, EditableAssistant, create, delete, update};
pub(crate) use edit::{publish_knowledge_change, publish_shared_knowledge_change};
pub use query::assistants::DEFAULT_ID;

/// Lists the default assistant and those of a workspace. Guests see only assistants that take part
/// in their conversations.
pub async fn list(
    service: &AssistantsService,
    by: &Principal,
    workspace_id: Option<WorkspaceId>,
    page: PageRequest,
) -> Result<Page<Assistant>, AppError> {
    let place = membership::resolve(&service.identity, by, workspace_id, Permission::View).await?;
    let is_guest = place.role == WorkspaceRole::Guest;
    let (items, total) = query::assistants::list(service.db.reader(), place.id, by.user_id, is_guest, page).await?;
    let items = items.into_iter().map(|row| view(row, by, Some(place.role))).collect::<Result<_, _>>()?;
    Ok(Page::new(items, page, total))
}

/// Assistant that the caller may use.
pub async fn find(service: &AssistantsService, by: &Principal, id: AssistantId) -> Result<Assistant, AppError> {
    let (row, role) = find_with_role(service, by, id).await?;
    view(row, by, role)
}

/// Assistant that the caller may use, with their role in its workspace.
async fn find_with_role(
    service: &AssistantsService,
    by: &Principal,
    id: AssistantId,
) -> Result<(assistant::Model, Option<WorkspaceRole>), AppError> {
    let row = query::assistants::find(service.db.reader(), by.user_id, id).await?.ok_or(Code::NotFound)?;
    let role = match row.workspace_id {
        Some(workspace) => query::workspaces::role(service.db.reader(), workspace, by.user_id).await?,
        None => None,
    };
    Ok((row, role))
}

/// True if the user may change the assistant: its creator, or a member who may configure the
/// workspace. The default assistant can't be changed.
fn may_edit(row: &assistant::Model, by: &Principal, role: Option<WorkspaceRole>) -> bool {
    let is_maker = row.created_by == Some(by.user_id) && role.is_some_and(|role| role.may(Permission::CreateContent));
    row.id != DEFAULT_ID && (is_maker || role.is_some_and(|role| role.may(Permission::Configure)))
}

/// View of an assistant; the instructions are only visible to users who may change them.
fn view(row: assistant::Model, by: &Principal, role: Option<WorkspaceRole>) -> Result<Assistant, AppError> {
    let may_edit = may_edit(&row, by, role);
    let mut assistant = Assistant::try_from(row)?;
    assistant.may_edit = may_edit;
    if !may_edit {
        assistant.system_prompt = None;
    }
    Ok(assistant)
}
