//! Tasks on the boards of conversations.

use std::collections::HashMap;

use appcore::{
    AppError, BoardColumnId, ConversationId, TaskId, Timestamp, UserId,
    page::PageRequest,
    view::{ConversationKind, OwnTask, Task, TaskConversation, TaskPerson},
};
use sea_orm::{
    ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DatabaseBackend, EntityTrait, FromQueryResult, QueryFilter, Set,
    Value,
};

use super::{
    access, page, raw,
    rows::{Column, Rows},
    single,
};
use crate::{
    constraint::app_error,
    entity::{task, task_assignee},
};

impl task::Model {
    fn with(self, assignees: Vec<TaskPerson>) -> Result<Task, AppError> {
        Ok(Task {
            id: self.id,
            conversation_id: self.conversation_id,
            column_id: self.column_id,
            title: self.title,
            description: self.description,
            position: self.position,
            version: self.version,
            assignee_ids: assignees.iter().map(|person| person.id).collect(),
            assignees,
            labels: serde_json::from_str(&self.labels).map_err(AppError::internal)?,
            due_at: self.due_at,
            message_id: self.message_id,
            archived_at: self.archived_at,
            created_by: self.created_by,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct TaskFilter {
    pub column_id: Option<BoardColumnId>,
    pub assignee: Option<UserId>,
    /// If true, lists only archived tasks, otherwise only the others.
    pub is_archived: bool,
    /// If true, lists only tasks created from a message.
    pub is_from_message: bool,
}

/// Filter of a user's own tasks.
#[derive(Clone, Debug, Default)]
pub struct OwnTaskFilter {
    pub is_done: Option<bool>,
    pub conversation_id: Option<ConversationId>,
    pub label: Option<String>,
    pub due_before: Option<Timestamp>,
}

/// Lists the tasks of a board that `reader` sees, by column, with the total count. Archived tasks
/// are ordered by the time at which they were archived.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    reader: UserId,
    filter: TaskFilter,
    page: PageRequest,
) -> Result<(Vec<Task>, u64), AppError> {
    let (archived, order) = if filter.is_archived {
        ("IS NOT NULL", "t.archived_at DESC, t.id DESC")
    } else {
        ("IS NULL", "b.position, t.position")
    };
    let mut rows = format!(
        "FROM tasks t JOIN board_columns b ON b.id = t.column_id JOIN conversations c ON c.id = t.conversation_id \
         WHERE t.conversation_id = $1 AND t.archived_at {archived} AND {}",
        access::sees_task("t", "c", "$2")
    );
    let mut values: Vec<Value> = vec![id.into(), reader.into()];
    if let Some(column) = filter.column_id {
        values.push(column.into());
        rows += &format!(" AND t.column_id = ${}", values.len());
    }
    if filter.is_from_message {
        rows += " AND t.message_id IS NOT NULL";
    }
    if let Some(user) = filter.assignee {
        values.push(user.into());
        rows += &format!(
            " AND EXISTS (SELECT 1 FROM task_assignees a WHERE a.task_id = t.id AND a.user_id = ${})",
            values.len()
        );
    }
    let sql = format!("SELECT t.* {rows} ORDER BY {order} LIMIT {} OFFSET {}", page.page_size, page.offset());
    let found: Vec<task::Model> = raw::find(db, &sql, values.clone()).await?;
    let total = page::count(db, &rows, values).await?;
    Ok((with_assignees(db, found).await?, total))
}

pub async fn find<C: ConnectionTrait>(db: &C, id: TaskId) -> Result<Option<Task>, AppError> {
    let row = task::Entity::find_by_id(id).one(db).await.map_err(app_error)?;
    Ok(with_assignees(db, row.into_iter().collect()).await?.pop())
}

/// True if a user who may read the task's conversation also sees the task.
pub async fn is_seen_by<C: ConnectionTrait>(db: &C, reader: UserId, id: TaskId) -> Result<bool, AppError> {
    let rows = format!(
        "FROM tasks t JOIN conversations c ON c.id = t.conversation_id WHERE t.id = $1 AND {}",
        access::sees_task("t", "c", "$2")
    );
    Ok(page::count(db, &rows, [id.into(), reader.into()]).await? > 0)
}

/// Returns the members who see a task that is hidden from other members; `None` if every member
/// sees it.
pub async fn viewers<C: ConnectionTrait>(db: &C, id: TaskId) -> Result<Option<Vec<UserId>>, AppError> {
    #[derive(FromQueryResult)]
    struct Member {
        user_id: UserId,
    }
    let members = "FROM tasks t JOIN conversations c ON c.id = t.conversation_id \
                   JOIN conversation_members m ON m.conversation_id = c.id AND NOT m.is_deleted WHERE t.id = $1";
    let hidden = access::hides_task("t", "c", "m");
    if page::count(db, &format!("{members} AND {hidden}"), [id.into()]).await? == 0 {
        return Ok(None);
    }
    let sql = format!("SELECT m.user_id {members} AND NOT {hidden}");
    let found: Vec<Member> = raw::find(db, &sql, [id.into()]).await?;
    Ok(Some(found.into_iter().map(|member| member.user_id).collect()))
}

/// Condition that the task is done.
const IS_DONE: &str = "(b.is_done OR t.archived_at IS NOT NULL)";

/// Lists a user's tasks on all boards that the user may read, earliest due date first, with the
/// total count.
pub async fn of_user<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    filter: OwnTaskFilter,
    page: PageRequest,
) -> Result<(Vec<OwnTask>, u64), AppError> {
    #[derive(FromQueryResult)]
    struct Own {
        #[sea_orm(nested)]
        task: task::Model,
        column_name: String,
        is_done: bool,
        kind: ConversationKind,
        conversation_title: Option<String>,
    }
    let mut rows = format!(
        "FROM task_assignees a JOIN tasks t ON t.id = a.task_id JOIN board_columns b ON b.id = t.column_id \
         JOIN conversations c ON c.id = t.conversation_id AND NOT c.is_deleted WHERE a.user_id = $1 AND {}",
        access::may_read("c", "$1")
    );
    let mut values: Vec<Value> = vec![user.into()];
    let backend = db.get_database_backend();
    let label = filter.label.map(|label| serde_json::to_string(&label).map_err(AppError::internal)).transpose()?;
    let is_done = format!("{IS_DONE} = {{}}");
    // Searches the JSON text of the list for the label in its JSON encoding.
    let has_label =
        if backend == DatabaseBackend::Postgres { "STRPOS(t.labels, {}) > 0" } else { "INSTR(t.labels, {}) > 0" };
    let wanted: [(&str, Option<Value>); 4] = [
        (is_done.as_str(), filter.is_done.map(Into::into)),
        ("t.conversation_id = {}", filter.conversation_id.map(Into::into)),
        (has_label, label.map(Into::into)),
        ("t.due_at < {}", filter.due_before.map(Into::into)),
    ];
    for (condition, value) in wanted {
        if let Some(value) = value {
            values.push(value);
            rows += &format!(" AND {}", condition.replace("{}", &format!("${}", values.len())));
        }
    }
    let sql = format!(
        "SELECT t.*, b.name AS column_name, {IS_DONE} AS is_done, c.kind, c.title AS conversation_title {rows} \
         ORDER BY t.due_at IS NULL, t.due_at, t.id LIMIT {} OFFSET {}",
        page.page_size,
        page.offset()
    );
    let found: Vec<Own> = raw::find(db, &sql, values.clone()).await?;
    let total = page::count(db, &rows, values).await?;
    let mut assignees = assignees(db, &found.iter().map(|own| own.task.id).collect::<Vec<_>>()).await?;
    let items = found
        .into_iter()
        .map(|own| {
            let place =
                TaskConversation { id: own.task.conversation_id, kind: own.kind, title: own.conversation_title };
            let people = assignees.remove(&own.task.id).unwrap_or_default();
            Ok(OwnTask {
                task: own.task.with(people)?,
                column_name: own.column_name,
                done: own.is_done,
                conversation: place,
            })
        })
        .collect::<Result<_, AppError>>()?;
    Ok((items, total))
}

/// Number of tasks that a board shows.
pub async fn count<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<u64, AppError> {
    page::count(db, "FROM tasks WHERE conversation_id = $1 AND archived_at IS NULL", [id.into()]).await
}

/// Returns the first tasks of a column that `reader` sees, in order.
pub async fn in_column<C: ConnectionTrait>(
    db: &C,
    id: BoardColumnId,
    reader: UserId,
    most: u64,
) -> Result<Vec<Task>, AppError> {
    let sql = format!(
        "SELECT t.* FROM tasks t JOIN conversations c ON c.id = t.conversation_id \
         WHERE t.column_id = $1 AND t.archived_at IS NULL AND {} ORDER BY t.position LIMIT {most}",
        access::sees_task("t", "c", "$2")
    );
    let rows: Vec<task::Model> = raw::find(db, &sql, [id.into(), reader.into()]).await?;
    with_assignees(db, rows).await
}

pub async fn archive<C: ConnectionTrait>(db: &C, ids: &[TaskId], now: Timestamp) -> Result<(), AppError> {
    let rows = Rows::new(
        db.get_database_backend(),
        [Column::Uuid("id"), Column::Int("at")],
        ids.iter().map(|id| [id.0.into(), now.millis().into()]),
    );
    let sql = format!(
        "UPDATE tasks SET archived_at = w.at, updated_at = w.at, version = version + 1 FROM {} WHERE tasks.id = w.id",
        rows.table()
    );
    rows.execute(db, sql).await.map(drop)
}

#[derive(FromQueryResult)]
struct Place {
    position: Option<String>,
}

pub async fn last_position<C: ConnectionTrait>(db: &C, column: BoardColumnId) -> Result<Option<String>, AppError> {
    let sql = "SELECT MAX(position) AS position FROM tasks WHERE column_id = $1";
    let row: Option<Place> = raw::find_one(db, sql, [column.into()]).await?;
    Ok(row.and_then(|row| row.position))
}

/// Returns the first position in a column, from `from` on, that is used by a task other than
/// `except`.
pub async fn position_from<C: ConnectionTrait>(
    db: &C,
    column: BoardColumnId,
    from: &str,
    except: TaskId,
) -> Result<Option<String>, AppError> {
    next_position(db, ">=", (column, from), except).await
}

/// Returns the first position in a column after `after` that is used by a task other than `except`.
pub async fn position_after<C: ConnectionTrait>(
    db: &C,
    column: BoardColumnId,
    after: &str,
    except: TaskId,
) -> Result<Option<String>, AppError> {
    next_position(db, ">", (column, after), except).await
}

async fn next_position<C: ConnectionTrait>(
    db: &C,
    bound: &str,
    (column, position): (BoardColumnId, &str),
    except: TaskId,
) -> Result<Option<String>, AppError> {
    let sql = format!(
        "SELECT MIN(position) AS position FROM tasks WHERE column_id = $1 AND position {bound} $2 AND id <> $3"
    );
    let values = [column.into(), position.to_owned().into(), except.into()];
    let row: Option<Place> = raw::find_one(db, &sql, values).await?;
    Ok(row.and_then(|row| row.position))
}

pub async fn insert<C: ConnectionTrait>(db: &C, task: &Task) -> Result<(), AppError> {
    let row = task::ActiveModel {
        id: Set(task.id),
        conversation_id: Set(task.conversation_id),
        column_id: Set(task.column_id),
        title: Set(task.title.clone()),
        description: Set(task.description.clone()),
        position: Set(task.position.clone()),
        labels: Set(labels(task)?),
        due_at: Set(task.due_at),
        message_id: Set(task.message_id),
        created_by: Set(task.created_by),
        version: Set(task.version),
        archived_at: NotSet,
        created_at: Set(task.created_at),
        updated_at: Set(task.updated_at),
    };
    single::insert(db, row).await
}

pub async fn update<C: ConnectionTrait>(db: &C, task: &Task) -> Result<(), AppError> {
    let changed = task::ActiveModel {
        column_id: Set(task.column_id),
        title: Set(task.title.clone()),
        description: Set(task.description.clone()),
        position: Set(task.position.clone()),
        labels: Set(labels(task)?),
        due_at: Set(task.due_at),
        version: Set(task.version),
        archived_at: Set(task.archived_at),
        updated_at: Set(task.updated_at),
        ..Default::default()
    };
    task::Entity::update_many().set(changed).filter(task::Column::Id.eq(task.id)).exec(db).await.map_err(app_error)?;
    Ok(())
}

fn labels(task: &Task) -> Result<String, AppError> {
    serde_json::to_string(&task.labels).map_err(AppError::internal)
}

/// Replaces the assignees of a task.
pub async fn set_assignees<C: ConnectionTrait>(db: &C, id: TaskId, people: &[UserId]) -> Result<(), AppError> {
    remove_assignees(db, id).await?;
    if people.is_empty() {
        return Ok(());
    }
    let rows = Rows::new(
        db.get_database_backend(),
        [Column::Uuid("task_id"), Column::Uuid("user_id")],
        people.iter().map(|user| [id.0.into(), user.0.into()]),
    );
    let sql =
        format!("INSERT INTO task_assignees (task_id, user_id) SELECT w.task_id, w.user_id FROM {}", rows.table());
    rows.execute(db, sql).await.map(drop)
}

pub async fn delete<C: ConnectionTrait>(db: &C, id: TaskId) -> Result<(), AppError> {
    remove_assignees(db, id).await?;
    task::Entity::delete_by_id(id).exec(db).await.map_err(app_error)?;
    Ok(())
}

async fn remove_assignees<C: ConnectionTrait>(db: &C, id: TaskId) -> Result<(), AppError> {
    let assignees = task_assignee::Entity::delete_many().filter(task_assignee::Column::TaskId.eq(id));
    assignees.exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Returns those of these users who are members of the conversation, with their names.
pub async fn members_among<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    people: &[UserId],
) -> Result<Vec<TaskPerson>, AppError> {
    #[derive(FromQueryResult)]
    struct Member {
        id: UserId,
        display_name: String,
    }
    if people.is_empty() {
        return Ok(Vec::new());
    }
    let rows = Rows::new(
        db.get_database_backend(),
        [Column::Uuid("conversation_id"), Column::Uuid("user_id")],
        people.iter().map(|user| [id.0.into(), user.0.into()]),
    );
    let sql = format!(
        "SELECT u.id, u.display_name FROM {} JOIN conversation_members m ON m.conversation_id = w.conversation_id \
           AND m.user_id = w.user_id AND NOT m.is_deleted JOIN users u ON u.id = m.user_id ORDER BY u.display_name, u.id",
        rows.table()
    );
    let found = rows.find::<_, Member>(db, sql).await?;
    Ok(found.into_iter().map(|row| TaskPerson { id: row.id, name: row.display_name }).collect())
}

async fn with_assignees<C: ConnectionTrait>(db: &C, rows: Vec<task::Model>) -> Result<Vec<Task>, AppError> {
    let mut people = assignees(db, &rows.iter().map(|row| row.id).collect::<Vec<_>>()).await?;
    rows.into_iter()
        .map(|row| {
            let assignees = people.remove(&row.id).unwrap_or_default();
            row.with(assignees)
        })
        .collect()
}

/// Assignees of these tasks.
async fn assignees<C: ConnectionTrait>(db: &C, ids: &[TaskId]) -> Result<HashMap<TaskId, Vec<TaskPerson>>, AppError> {
    #[derive(FromQueryResult)]
    struct Assignee {
        task_id: TaskId,
        user_id: UserId,
        display_name: String,
    }
    let mut found: HashMap<TaskId, Vec<TaskPerson>> = HashMap::new();
    if ids.is_empty() {
        return Ok(found);
    }
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!(
        "SELECT a.task_id, a.user_id, u.display_name FROM {} JOIN task_assignees a ON a.task_id = w.id \
         JOIN users u ON u.id = a.user_id ORDER BY u.display_name, u.id",
        asked.table()
    );
    for row in asked.find::<_, Assignee>(db, sql).await? {
        let person = TaskPerson { id: row.user_id, name: row.display_name };
        found.entry(row.task_id).or_default().push(person);
    }
    Ok(found)
}
