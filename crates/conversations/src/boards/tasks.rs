use std::collections::BTreeSet;

use appcore::{
    AppError, BoardColumnId, Code, ConversationId, MessageId, TaskId, Timestamp, UserId,
    auth::Principal,
    event::{Event, MAX_BATCHED_IDS, Topic},
    page::{Page, PageRequest},
    text::Content,
    text_field::parse_line,
    view::{OwnTask, Task, TaskPerson},
};
use dbcontext::{
    constraint::app_error,
    query::{self, boards, tasks as rows, texts::row_bytes, users},
};
use event_log::access;
use files::quotas;
use sea_orm::ConnectionTrait;
use serde_json::json;

use super::{DueJob, OwnTaskFilter, TaskFilter, due, position, publish, publish_to_viewers, too_many, writer};
use crate::ConversationsService;

const MAX_TITLE_CHARS: usize = 200;
const MAX_DESCRIPTION_CHARS: usize = 10_000;
const MAX_LABELS: usize = 10;
const MAX_LABEL_CHARS: usize = 40;
const MAX_ASSIGNEES: usize = 20;
const MAX_TASKS: u64 = 5_000;
/// Maximum number of tasks that one request archives.
const MAX_AT_ONCE: u64 = 500;

#[derive(Clone, Debug)]
pub struct NewTask {
    pub title: String,
    pub column_id: BoardColumnId,
    pub description: Option<String>,
    pub assignee_ids: Vec<UserId>,
    pub due_at: Option<Timestamp>,
    pub labels: Vec<String>,
    /// Message that the task is created from.
    pub message_id: Option<MessageId>,
    /// Position string; `None` appends the task to its column.
    pub position: Option<String>,
}

/// Partial update of a task; `None` leaves a value unchanged.
#[derive(Clone, Debug, Default)]
pub struct TaskChange {
    /// Version that the change is based on, for optimistic locking. With `None`, the change applies
    /// to any version.
    pub version: Option<i64>,
    pub title: Option<String>,
    pub column_id: Option<BoardColumnId>,
    pub description: Option<String>,
    pub assignee_ids: Option<Vec<UserId>>,
    /// `Some(None)` removes the due date.
    pub due_at: Option<Option<Timestamp>>,
    pub labels: Option<Vec<String>>,
    pub position: Option<String>,
    /// True archives the task, false restores it.
    pub archived: Option<bool>,
}

/// Tasks of a conversation's board, column by column.
pub async fn list(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    filter: TaskFilter,
    page: PageRequest,
) -> Result<Page<Task>, AppError> {
    access::reader(&service.events, by.user_id, id).await?;
    let (items, total) = rows::list(service.db.reader(), id, by.user_id, filter, page).await?;
    Ok(Page::new(items, page, total))
}

/// Tasks assigned to the caller, across all boards.
pub async fn list_own(
    service: &ConversationsService,
    by: &Principal,
    filter: OwnTaskFilter,
    page: PageRequest,
) -> Result<Page<OwnTask>, AppError> {
    let (items, total) = rows::of_user(service.db.reader(), by.user_id, filter, page).await?;
    Ok(Page::new(items, page, total))
}

pub async fn find(service: &ConversationsService, by: &Principal, id: TaskId) -> Result<Task, AppError> {
    let task = rows::find(service.db.reader(), id).await?.ok_or(Code::NotFound)?;
    access::reader(&service.events, by.user_id, task.conversation_id).await?;
    if !rows::is_seen_by(service.db.reader(), by.user_id, id).await? {
        return Err(Code::NotFound.into());
    }
    Ok(task)
}

pub async fn create(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    new: NewTask,
) -> Result<Task, AppError> {
    writer(service, by.user_id, id).await?;
    let title = parse_line("title", &new.title, MAX_TITLE_CHARS)?;
    let description = description(new.description.unwrap_or_default())?;
    let labels = labels(new.labels)?;
    if let Some(message_id) = new.message_id {
        let message = query::messages::find(service.db.reader(), by.user_id, message_id).await?;
        if message.is_none_or(|message| message.conversation_id != id || message.deleted_at.is_some()) {
            return Err(AppError::field("message_id", "invalid", "Choose a message from this conversation."));
        }
    }
    let assignees = assignees(service.db.reader(), id, &new.assignee_ids, &[]).await?;
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    // Users are locked before boards, as in account deletion, to avoid deadlocks.
    users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    let board_version = boards::start_change(&tx, id).await?;
    check_task_limit(&tx, id).await?;
    check_column(&tx, id, new.column_id).await?;
    let task_id = TaskId::new();
    let position = match new.position {
        Some(wanted) => free_position(&tx, new.column_id, &wanted, task_id).await?,
        None => last_position(&tx, new.column_id).await?,
    };
    let task = Task {
        id: task_id,
        conversation_id: id,
        column_id: new.column_id,
        title,
        description,
        position,
        version: 1,
        assignee_ids: assignees.iter().map(|person| person.id).collect(),
        assignees,
        labels,
        due_at: new.due_at,
        message_id: new.message_id,
        archived_at: None,
        created_by: by.user_id,
        created_at: now,
        updated_at: now,
    };
    quotas::check_text_quota(&service.files, &tx, by.user_id, 0, stored_bytes(&task)?).await?;
    rows::insert(&tx, &task).await?;
    rows::set_assignees(&tx, task.id, &task.assignee_ids).await?;
    due::reschedule(&tx, now, &task).await?;
    tx.commit().await.map_err(app_error)?;
    let event = Event::TaskCreated { conversation_id: id, board_version, task: task.clone().into() };
    publish_task(service, &task, &event).await?;
    notify_assignees(service, &task, &[])?;
    Ok(task)
}

/// Changes or moves a task. Returns `Stale` with the current task if `version` is outdated.
pub async fn update(
    service: &ConversationsService,
    by: &Principal,
    task_id: TaskId,
    change: TaskChange,
) -> Result<Task, AppError> {
    let Task { conversation_id: id, created_by, .. } = find(service, by, task_id).await?;
    writer(service, by.user_id, id).await?;
    let title = change.title.as_deref().map(|title| parse_line("title", title, MAX_TITLE_CHARS)).transpose()?;
    let description = change.description.map(description).transpose()?;
    let labels = change.labels.map(labels).transpose()?;
    let tx = service.db.begin().await.map_err(app_error)?;
    if title.is_some() || description.is_some() || labels.is_some() {
        users::lock(&tx, created_by).await?;
    }
    let board_version = boards::start_change(&tx, id).await?;
    let before = rows::find(&tx, task_id).await?.ok_or(Code::NotFound)?;
    check_version(change.version, &before)?;
    let mut task = before.clone();
    task.title = title.unwrap_or(task.title);
    task.description = description.unwrap_or(task.description);
    task.labels = labels.unwrap_or(task.labels);
    task.due_at = change.due_at.unwrap_or(task.due_at);
    if let Some(people) = change.assignee_ids {
        // Former members may stay assigned to a task, but can't be assigned again.
        task.assignees = assignees(&tx, id, &people, &before.assignees).await?;
        task.assignee_ids = task.assignees.iter().map(|person| person.id).collect();
    }
    if let Some(column_id) = change.column_id.filter(|column_id| *column_id != task.column_id) {
        check_column(&tx, id, column_id).await?;
        task.column_id = column_id;
    }
    task.position = match change.position {
        Some(wanted) => free_position(&tx, task.column_id, &wanted, task_id).await?,
        None if task.column_id != before.column_id => last_position(&tx, task.column_id).await?,
        None => task.position,
    };
    match change.archived {
        Some(true) => task.archived_at = before.archived_at.or_else(|| Some(service.clock.now())),
        Some(false) if before.archived_at.is_some() => {
            check_task_limit(&tx, id).await?;
            task.archived_at = None;
        }
        _ => {}
    }
    if task == before {
        tx.rollback().await.map_err(app_error)?;
        return Ok(task);
    }
    // The storage counts for the task's creator, even if somebody else changes the task.
    quotas::check_text_quota(&service.files, &tx, created_by, stored_bytes(&before)?, stored_bytes(&task)?).await?;
    task.version += 1;
    task.updated_at = service.clock.now();
    rows::update(&tx, &task).await?;
    if task.assignee_ids != before.assignee_ids {
        rows::set_assignees(&tx, task_id, &task.assignee_ids).await?;
    }
    if task.due_at != before.due_at {
        due::reschedule(&tx, task.updated_at, &task).await?;
    }
    tx.commit().await.map_err(app_error)?;
    let event = Event::TaskUpdated { conversation_id: id, board_version, task: task.clone().into() };
    publish_task(service, &task, &event).await?;
    notify_assignees(service, &task, &before.assignee_ids)?;
    Ok(task)
}

pub async fn delete(
    service: &ConversationsService,
    by: &Principal,
    task_id: TaskId,
    version: Option<i64>,
) -> Result<(), AppError> {
    let id = find(service, by, task_id).await?.conversation_id;
    writer(service, by.user_id, id).await?;
    let tx = service.db.begin().await.map_err(app_error)?;
    let board_version = boards::start_change(&tx, id).await?;
    let task = rows::find(&tx, task_id).await?.ok_or(Code::NotFound)?;
    check_version(version, &task)?;
    jobs::cancel::<DueJob>(&tx, task_id.0).await?;
    rows::delete(&tx, task_id).await?;
    tx.commit().await.map_err(app_error)?;
    publish_to_viewers(service, id, &Event::TaskDeleted { conversation_id: id, board_version, task_id })?;
    notify_assignees(service, &task, &[])
}

/// Archives the tasks of a column that the caller can see, up to `MAX_AT_ONCE`. Returns the number
/// of archived tasks.
pub async fn archive_column(
    service: &ConversationsService,
    by: &Principal,
    column_id: BoardColumnId,
) -> Result<u64, AppError> {
    let id = boards::column(service.db.reader(), column_id).await?.ok_or(Code::NotFound)?.conversation_id;
    writer(service, by.user_id, id).await?;
    let tx = service.db.begin().await.map_err(app_error)?;
    let first_version = boards::start_change(&tx, id).await?;
    let tasks = rows::in_column(&tx, column_id, by.user_id, MAX_AT_ONCE).await?;
    if tasks.is_empty() {
        tx.rollback().await.map_err(app_error)?;
        return Ok(0);
    }
    let now = service.clock.now();
    rows::archive(&tx, &tasks.iter().map(|task| task.id).collect::<Vec<_>>(), now).await?;
    // Each task counts as one change in the board's version, so that clients can detect each missed
    // event.
    let more = i64::try_from(tasks.len() - 1).map_err(AppError::internal)?;
    boards::add_changes(&tx, id, more).await?;
    tx.commit().await.map_err(app_error)?;
    let count = tasks.len() as u64;
    for (board_version, task) in (first_version..).zip(tasks) {
        let task = Task { archived_at: Some(now), updated_at: now, version: task.version + 1, ..task };
        notify_assignees(service, &task, &[])?;
        let event = Event::TaskUpdated { conversation_id: id, board_version, task: task.clone().into() };
        publish_task(service, &task, &event).await?;
    }
    Ok(count)
}

async fn check_task_limit<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<(), AppError> {
    if rows::count(db, id).await? >= MAX_TASKS {
        return Err(too_many(MAX_TASKS, "tasks"));
    }
    Ok(())
}

fn stored_bytes(task: &Task) -> Result<i64, AppError> {
    let labels = serde_json::to_string(&task.labels).map_err(AppError::internal)?;
    Ok(row_bytes(&[&task.title, &task.description, &labels]))
}

fn check_version(version: Option<i64>, task: &Task) -> Result<(), AppError> {
    if version.is_none_or(|version| version == task.version) {
        return Ok(());
    }
    Err(AppError::detailed(Code::Stale, json!(task)))
}

async fn check_column<C: ConnectionTrait>(db: &C, id: ConversationId, column: BoardColumnId) -> Result<(), AppError> {
    match boards::column(db, column).await? {
        Some(column) if column.conversation_id == id => Ok(()),
        _ => Err(AppError::field("column_id", "invalid", "Choose a column of this board.")),
    }
}

/// Returns the requested position, or the next free one after it if another task has it. Two people
/// may drop tasks at the same place at the same time.
async fn free_position<C: ConnectionTrait>(
    db: &C,
    column: BoardColumnId,
    wanted: &str,
    task: TaskId,
) -> Result<String, AppError> {
    let mut wanted = position::parse(wanted)?;
    while rows::position_from(db, column, &wanted, task).await?.as_deref() == Some(wanted.as_str()) {
        let next = rows::position_after(db, column, &wanted, task).await?;
        wanted = position::parse(&position::between(Some(&wanted), next.as_deref()))?;
    }
    Ok(wanted)
}

async fn last_position<C: ConnectionTrait>(db: &C, column: BoardColumnId) -> Result<String, AppError> {
    let last = rows::last_position(db, column).await?;
    position::parse(&position::between(last.as_deref(), None))
}

fn description(text: String) -> Result<String, AppError> {
    match Content::parse_with_files(text, MAX_DESCRIPTION_CHARS) {
        Ok(text) => Ok(text.into_string()),
        Err(AppError::Invalid(mut fields)) => {
            fields.iter_mut().for_each(|field| field.field = "description".into());
            Err(AppError::Invalid(fields))
        }
        Err(other) => Err(other),
    }
}

/// Validates labels and removes duplicates, keeping the order.
fn labels(labels: Vec<String>) -> Result<Vec<String>, AppError> {
    if labels.len() > MAX_LABELS {
        return Err(AppError::field("labels", "too_long", format!("Use up to {MAX_LABELS} labels.")));
    }
    let mut seen = BTreeSet::new();
    let mut each = Vec::new();
    for label in labels {
        let label = parse_line("labels", &label, MAX_LABEL_CHARS)?;
        if seen.insert(label.clone()) {
            each.push(label);
        }
    }
    Ok(each)
}

/// Resolves assignees. Each must be a member of the conversation or be listed in `allowed`.
async fn assignees<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    people: &[UserId],
    allowed: &[TaskPerson],
) -> Result<Vec<TaskPerson>, AppError> {
    let people: BTreeSet<UserId> = people.iter().copied().collect();
    if people.len() > MAX_ASSIGNEES {
        return Err(AppError::field("assignee_ids", "too_long", format!("Assign up to {MAX_ASSIGNEES} people.")));
    }
    let asked: Vec<UserId> = people.iter().copied().collect();
    let mut found = rows::members_among(db, id, &asked).await?;
    let left = allowed.iter().filter(|person| people.contains(&person.id));
    let left: Vec<TaskPerson> =
        left.filter(|person| found.iter().all(|other| other.id != person.id)).cloned().collect();
    found.extend(left);
    found.sort_by(|one, other| (&one.name, one.id).cmp(&(&other.name, other.id)));
    if found.len() < people.len() {
        return Err(AppError::field("assignee_ids", "invalid", "Assign members of this conversation only."));
    }
    Ok(found)
}

/// Publishes a task event to the viewers of its conversation. If the history is hidden from members
/// who joined after the task was created, the event goes to the users who may see it.
async fn publish_task(service: &ConversationsService, task: &Task, event: &Event) -> Result<(), AppError> {
    let Some(people) = rows::viewers(service.db.reader(), task.id).await? else {
        return publish_to_viewers(service, task.conversation_id, event);
    };
    people.chunks(MAX_BATCHED_IDS).try_for_each(|part| publish(service, Topic::Users(part.to_vec()), event))
}

/// Notifies current and former assignees on all their connections.
fn notify_assignees(service: &ConversationsService, task: &Task, before: &[UserId]) -> Result<(), AppError> {
    let people: BTreeSet<UserId> = task.assignee_ids.iter().chain(before).copied().collect();
    if people.is_empty() {
        return Ok(());
    }
    let event = Event::OwnTasksChanged { conversation_id: task.conversation_id, task_id: task.id };
    publish(service, Topic::Users(people.into_iter().collect()), &event)
}
