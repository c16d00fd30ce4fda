//! Prompt templates, private or shared with a workspace.

use appcore::{
    AppError, Code, PromptId, WorkspaceId,
    auth::{Permission, Principal},
    event::Event,
    page::{Page, PageRequest},
    text::normalize_text,
    text_field::{parse_line, validate_search_text},
    view::{Prompt, PromptAuthor, Visibility, WorkspaceRole},
};
use dbcontext::{
    constraint::app_error,
    query::{
        prompts::{self as rows, PromptRow, SeenPrompt},
        texts::row_bytes,
    },
};
use files::quotas;
use identity::membership::{self, Membership};

use super::change_events;
use crate::AssistantsService;

/// Maximum length of a command, in characters.
const MAX_COMMAND: usize = 32;
const MAX_TITLE: usize = 120;
/// Maximum length of a template, in characters.
const MAX_CONTENT: usize = 20_000;
/// Maximum length of a variable name, in characters.
const MAX_VARIABLE: usize = 40;
/// Maximum number of variables in a template.
const MAX_VARIABLES: usize = 50;
/// Maximum number of private prompts per user and workspace.
const MAX_OWN: u64 = 200;
/// Maximum number of shared prompts per workspace.
const MAX_SHARED: u64 = 500;

#[derive(Clone, Debug)]
pub struct NewPrompt {
    pub workspace_id: Option<WorkspaceId>,
    pub command: String,
    pub title: String,
    pub content: String,
    pub visibility: Visibility,
}

/// Partial update of a prompt; `None` leaves a field unchanged.
#[derive(Clone, Debug, Default)]
pub struct PromptChange {
    pub command: Option<String>,
    pub title: Option<String>,
    pub content: Option<String>,
    pub visibility: Option<Visibility>,
}

/// Lists the caller's private prompts in a workspace and the prompts shared with it, sorted by
/// command. Guests see only their own.
pub async fn list(
    service: &AssistantsService,
    by: &Principal,
    workspace_id: Option<WorkspaceId>,
    text: &str,
    page: PageRequest,
) -> Result<Page<Prompt>, AppError> {
    validate_search_text(text)?;
    let place = membership::resolve(&service.identity, by, workspace_id, Permission::View).await?;
    let text = text.trim().trim_start_matches('/').to_lowercase();
    let sees_shared = place.role != WorkspaceRole::Guest;
    let (found, total) = rows::list(service.db.reader(), place.id, by.user_id, sees_shared, &text, page).await?;
    let items = found.into_iter().map(|row| view(row, by, place.role)).collect();
    Ok(Page::new(items, page, total))
}

/// Prompt that the caller may use.
pub async fn find(service: &AssistantsService, by: &Principal, id: PromptId) -> Result<Prompt, AppError> {
    let (row, role) = find_with_role(service, by, id).await?;
    Ok(view(row, by, role))
}

pub async fn create(service: &AssistantsService, by: &Principal, new: NewPrompt) -> Result<Prompt, AppError> {
    let place = membership::resolve(&service.identity, by, new.workspace_id, Permission::View).await?;
    check_may_share(place.role, new.visibility)?;
    check_limit(service, by, place, new.visibility).await?;
    let now = service.clock.now();
    let title = parse_line("title", &new.title, MAX_TITLE)?;
    let row = PromptRow {
        id: PromptId::new(),
        workspace_id: place.id,
        created_by: Some(by.user_id),
        command: parse_command(&new.command)?,
        search_title: ::search::fold_name(&title),
        title,
        content: parse_content(new.content)?,
        visibility: new.visibility,
        created_at: now,
        updated_at: now,
    };
    let tx = service.db.begin().await.map_err(app_error)?;
    quotas::check_text_quota(&service.files, &tx, by.user_id, 0, stored_bytes(&row)).await?;
    rows::insert(&tx, &row).await?;
    tx.commit().await.map_err(app_error)?;
    publish_change(service, &row, false);
    find_written(service, by, row.id, place.role).await
}

/// Changes a prompt. Allowed to its author and, if it is shared, to those who may configure the
/// workspace.
pub async fn update(
    service: &AssistantsService,
    by: &Principal,
    id: PromptId,
    change: PromptChange,
) -> Result<Prompt, AppError> {
    let (seen, role) = find_editable(service, by, id).await?;
    let mut row = seen.prompt;
    let before = stored_bytes(&row);
    let was_shared = row.visibility == Visibility::Workspace;
    if let Some(command) = change.command {
        row.command = parse_command(&command)?;
    }
    if let Some(title) = change.title {
        row.title = parse_line("title", &title, MAX_TITLE)?;
        row.search_title = ::search::fold_name(&row.title);
    }
    if let Some(content) = change.content {
        row.content = parse_content(content)?;
    }
    if let Some(visibility) = change.visibility.filter(|visibility| *visibility != row.visibility) {
        // Only the author may make a prompt private. If the author has left, nobody could see it
        // any more.
        if row.created_by != Some(by.user_id) {
            return Err(AppError::refused(Code::Forbidden, "Only the author can keep this prompt to themselves."));
        }
        check_may_share(role, visibility)?;
        check_limit(service, by, Membership { id: row.workspace_id, role }, visibility).await?;
        row.visibility = visibility;
    }
    row.updated_at = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    // The storage counts against the author's quota, even if somebody else changes the prompt.
    quotas::check_text_quota(&service.files, &tx, row.created_by.unwrap_or(by.user_id), before, stored_bytes(&row))
        .await?;
    rows::update(&tx, &row).await?;
    tx.commit().await.map_err(app_error)?;
    publish_change(service, &row, was_shared);
    find_written(service, by, id, role).await
}

fn stored_bytes(row: &PromptRow) -> i64 {
    row_bytes(&[&row.title, &row.content])
}

pub async fn delete(service: &AssistantsService, by: &Principal, id: PromptId) -> Result<(), AppError> {
    let (seen, _) = find_editable(service, by, id).await?;
    rows::delete(service.db.writer(), id).await?;
    publish_change(service, &seen.prompt, false);
    Ok(())
}

/// Prompt that the caller may use, with their role in its workspace.
async fn find_with_role(
    service: &AssistantsService,
    by: &Principal,
    id: PromptId,
) -> Result<(SeenPrompt, WorkspaceRole), AppError> {
    let found = rows::find(service.db.reader(), by.user_id, id).await?.ok_or(Code::NotFound)?;
    let role = found.role.ok_or(Code::NotFound)?;
    Ok((found, role))
}

async fn find_written(
    service: &AssistantsService,
    by: &Principal,
    id: PromptId,
    role: WorkspaceRole,
) -> Result<Prompt, AppError> {
    let found = rows::find(service.db.writer(), by.user_id, id).await?.ok_or(Code::NotFound)?;
    Ok(view(found, by, role))
}

async fn find_editable(
    service: &AssistantsService,
    by: &Principal,
    id: PromptId,
) -> Result<(SeenPrompt, WorkspaceRole), AppError> {
    let (found, role) = find_with_role(service, by, id).await?;
    if may_edit(&found.prompt, by, role) {
        return Ok((found, role));
    }
    Err(AppError::refused(
        Code::Forbidden,
        "Only the author of this prompt, or an admin of the workspace, can change it.",
    ))
}

fn may_edit(row: &PromptRow, by: &Principal, role: WorkspaceRole) -> bool {
    row.created_by == Some(by.user_id) || (row.visibility == Visibility::Workspace && role.may(Permission::Configure))
}

fn view(row: SeenPrompt, by: &Principal, role: WorkspaceRole) -> Prompt {
    let may_edit = may_edit(&row.prompt, by, role);
    let SeenPrompt { prompt, author_name, .. } = row;
    Prompt {
        id: prompt.id,
        workspace_id: prompt.workspace_id,
        variables: variables(&prompt.content).into_iter().map(str::to_owned).collect(),
        command: prompt.command,
        title: prompt.title,
        content: prompt.content,
        visibility: prompt.visibility,
        author: prompt.created_by.zip(author_name).map(|(id, name)| PromptAuthor { id, name }),
        may_edit,
        created_at: prompt.created_at,
        updated_at: prompt.updated_at,
    }
}

fn check_may_share(role: WorkspaceRole, visibility: Visibility) -> Result<(), AppError> {
    if visibility == Visibility::Workspace && role == WorkspaceRole::Guest {
        return Err(AppError::refused(Code::Forbidden, "Guests can't share prompts with the workspace."));
    }
    Ok(())
}

/// Returns an error if the limit on the number of prompts is reached.
async fn check_limit(
    service: &AssistantsService,
    by: &Principal,
    place: Membership,
    visibility: Visibility,
) -> Result<(), AppError> {
    let (owner, most) = match visibility {
        Visibility::Private => (Some(by.user_id), MAX_OWN),
        Visibility::Workspace => (None, MAX_SHARED),
    };
    if rows::count(service.db.writer(), place.id, owner).await? < most {
        return Ok(());
    }
    let message = match visibility {
        Visibility::Private => format!("You can keep up to {MAX_OWN} prompts here. Delete one first."),
        Visibility::Workspace => format!("A workspace can share up to {MAX_SHARED} prompts. Delete one first."),
    };
    Err(AppError::refused(Code::WrongState, message))
}

/// Parses a slash command: letters and digits of any script, `-` and `_`.
fn parse_command(text: &str) -> Result<String, AppError> {
    let command = parse_line("command", text.trim().trim_start_matches('/'), MAX_COMMAND)?.to_lowercase();
    let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_') || is_mark(letter);
    if !command.starts_with(char::is_alphanumeric) || !command.chars().all(is_part) {
        return Err(AppError::field(
            "command",
            "invalid",
            "Use letters, digits, - and _, beginning with a letter or digit.",
        ));
    }
    Ok(command)
}

/// True for combining marks, for example of decomposed Vietnamese letters.
fn is_mark(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}')
}

fn parse_content(text: String) -> Result<String, AppError> {
    let text = normalize_text(text);
    if text.trim().is_empty() {
        return Err(AppError::field("content", "required", "Write the prompt first."));
    }
    if text.chars().count() > MAX_CONTENT {
        let message = format!("Prompts can have up to {MAX_CONTENT} characters.");
        return Err(AppError::field("content", "too_long", message));
    }
    if variables(&text).len() > MAX_VARIABLES {
        let message = format!("A prompt can have up to {MAX_VARIABLES} variables.");
        return Err(AppError::field("content", "too_many", message));
    }
    Ok(text)
}

/// Returns the distinct variable names between `{{` and `}}`, in order. Braces around anything else
/// are ordinary text.
fn variables(content: &str) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    let mut rest = content;
    while let Some((_, after)) = rest.split_once("{{") {
        rest = after;
        let Some((inside, behind)) = after.split_once("}}") else { break };
        let name = inside.trim();
        let is_part =
            |letter: char| letter.is_alphanumeric() || is_mark(letter) || matches!(letter, '_' | '-' | '.' | ' ');
        if !name.is_empty() && name.chars().count() <= MAX_VARIABLE && name.chars().all(is_part) {
            rest = behind;
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// Notifies the users who can see the prompt, or could see it before the change.
fn publish_change(service: &AssistantsService, row: &PromptRow, was_shared: bool) {
    let workspace_id = row.workspace_id;
    let is_shared = was_shared || row.visibility == Visibility::Workspace;
    change_events::publish(service, &Event::PromptsChanged { workspace_id }, workspace_id, row.created_by, is_shared);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_distinct_variables_in_order() {
        let content =
            "Write {{ topic }} for {{audience}}, about {{topic}}, in {{ngôn ngữ}}. {{}} {{a{{b}} {{not\nthis}} {{open";
        assert_eq!(variables(content), ["topic", "audience", "ngôn ngữ", "b"]);
        assert_eq!(variables(&"{".repeat(1_000)), Vec::<&str>::new());
    }

    #[test]
    fn command_is_one_word_of_any_script() {
        assert_eq!(parse_command(" /Status-Note ").unwrap(), "status-note");
        assert_eq!(parse_command("tóm_tắt").unwrap(), "tóm_tắt");
        for wrong in ["", "/", "two words", "-x", "a/b", "<b>", &"x".repeat(33)] {
            assert!(parse_command(wrong).is_err(), "{wrong:?}");
        }
    }
}
