//! Prompt templates: private ones, and those shared with a workspace.

use appcore::{
    AppError, PromptId, UserId, WorkspaceId,
    page::PageRequest,
    view::{Visibility, WorkspaceRole},
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult,
    IntoActiveModel, PaginatorTrait, QueryFilter, Set, Value,
};

use super::{members, raw};
pub use crate::entity::prompt::Model as PromptRow;
use crate::{
    constraint::{app_error, unique_violation},
    entity::prompt::{ActiveModel, Column, Entity},
};

/// Prompt that the reader may use.
#[derive(Clone, Debug, FromQueryResult)]
pub struct SeenPrompt {
    #[sea_orm(nested)]
    pub prompt: PromptRow,
    pub author_name: Option<String>,
    /// Role of the reader in the prompt's workspace.
    pub role: Option<WorkspaceRole>,
}

const SEEN: &str = "SELECT p.*, u.display_name AS author_name";
const PROMPTS: &str = "FROM prompts p LEFT JOIN users u ON u.id = p.created_by AND NOT u.is_deleted";

pub async fn insert<C: ConnectionTrait>(db: &C, row: &PromptRow) -> Result<(), AppError> {
    Entity::insert(row.clone().into_active_model()).exec_without_returning(db).await.map_err(command_taken)?;
    Ok(())
}

pub async fn update<C: ConnectionTrait>(db: &C, row: &PromptRow) -> Result<(), AppError> {
    let changed = ActiveModel { id: NotSet, ..row.clone().into_active_model().reset_all() };
    Entity::update_many().set(changed).filter(Column::Id.eq(row.id)).exec(db).await.map_err(command_taken)?;
    Ok(())
}

pub async fn delete<C: ConnectionTrait>(db: &C, id: PromptId) -> Result<(), AppError> {
    Entity::delete_by_id(id).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Finds a prompt that `reader` may use.
pub async fn find<C: ConnectionTrait>(db: &C, reader: UserId, id: PromptId) -> Result<Option<SeenPrompt>, AppError> {
    let shared = Visibility::Workspace.as_str();
    let sql = format!(
        "{SEEN}, m.role {PROMPTS} JOIN workspaces w ON w.id = p.workspace_id AND NOT w.is_deleted \
         JOIN workspace_members m ON m.workspace_id = p.workspace_id AND m.user_id = $2 AND NOT m.is_deleted \
         WHERE p.id = $1 AND (p.created_by = $2 OR p.visibility = '{shared}' AND m.role <> 'guest')"
    );
    raw::find_one::<_, SeenPrompt>(db, sql, [id.into(), reader.into()]).await
}

/// Lists a user's own prompts in a workspace and the prompts shared there, by command, with the
/// total count. `text`, in lower case, matches the start of the command or part of the title.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    workspace: WorkspaceId,
    user: UserId,
    sees_shared: bool,
    text: &str,
    page: PageRequest,
) -> Result<(Vec<SeenPrompt>, u64), AppError> {
    let shared = if sees_shared { format!(" OR p.visibility = '{}'", Visibility::Workspace) } else { String::new() };
    let mut of = format!("{PROMPTS} WHERE p.workspace_id = $1 AND (p.created_by = $2{shared})");
    let mut values: Vec<Value> = vec![workspace.into(), user.into()];
    if !text.is_empty() {
        of.push_str(" AND (p.command LIKE $3 ESCAPE '\\' OR p.search_title LIKE $4 ESCAPE '\\')");
        let within = members::like_pattern(text);
        values.extend([within[1..].into(), members::like_pattern(&::search::fold_name(text)).into()]);
    }
    let sql = format!(
        "{SEEN}, NULL AS role {of} ORDER BY p.command, CASE WHEN p.visibility = 'private' THEN 0 ELSE 1 END, p.id LIMIT {} OFFSET {}",
        page.page_size,
        page.offset()
    );
    let found = raw::find::<_, SeenPrompt>(db, sql, values.clone()).await?;
    Ok((found, super::page::count(db, &of, values).await?))
}

/// Returns the number of prompts shared in a workspace, or of the private prompts that `owner` has
/// there.
pub async fn count<C: ConnectionTrait>(db: &C, workspace: WorkspaceId, owner: Option<UserId>) -> Result<u64, AppError> {
    let prompts = Entity::find().filter(Column::WorkspaceId.eq(workspace));
    let prompts = match owner {
        Some(owner) => prompts.filter(Column::Visibility.eq(Visibility::Private)).filter(Column::CreatedBy.eq(owner)),
        None => prompts.filter(Column::Visibility.eq(Visibility::Workspace)),
    };
    prompts.count(db).await.map_err(app_error)
}

/// Deletes the private prompts of a user. Shared ones stay, without a creator.
pub async fn remove_author<C: ConnectionTrait>(db: &C, user: UserId) -> Result<(), AppError> {
    let own = Entity::delete_many().filter(Column::CreatedBy.eq(user));
    own.filter(Column::Visibility.eq(Visibility::Private)).exec(db).await.map_err(app_error)?;
    Entity::update_many()
        .set(ActiveModel { created_by: Set(None), ..Default::default() })
        .filter(Column::CreatedBy.eq(user))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

fn command_taken(error: DbErr) -> AppError {
    if unique_violation(&error) {
        AppError::field("command", "taken", "There's already a prompt with this command. Choose another one.")
    } else {
        app_error(error)
    }
}
