//! Task boards of conversations: columns and tasks.

use appcore::{
    AppError, BoardColumnId, ConversationId, MessageId, TaskId, Timestamp, UserId,
    page::{Page, PageRequest},
    view::{Board, BoardColumn, OwnTask, Task},
};
use conversations::boards::{self, ColumnChange, ColumnPlace, NewTask, OwnTaskFilter, TaskChange, TaskFilter};
use natter_macro::{dto, endpoint};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Access, Ctx, Endpoint, EndpointDef, FromText, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ShowBoard>(),
    EndpointDef::of::<ListColumns>(),
    EndpointDef::of::<CreateColumn>(),
    EndpointDef::of::<ChangeColumn>(),
    EndpointDef::of::<DeleteColumn>(),
    EndpointDef::of::<ArchiveColumnTasks>(),
    EndpointDef::of::<ListTasks>(),
    EndpointDef::of::<CreateTask>(),
    EndpointDef::of::<ListOwnTasks>(),
    EndpointDef::of::<ShowTask>(),
    EndpointDef::of::<ChangeTask>(),
    EndpointDef::of::<DeleteTask>(),
];

#[dto(request)]
pub struct BoardRequest {
    #[from(path)]
    pub id: ConversationId,
}

/// Show the board of a conversation
///
/// Columns and version. Tasks are listed separately.
#[endpoint(GET "/r1/conversations/{id}/board", tag = "boards", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowBoard {
    type Request = BoardRequest;
    type Response = Board;

    async fn handle(ctx: &Ctx, request: BoardRequest) -> Result<Reply<Board>, AppError> {
        Ok(Reply::of(boards::show(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ListColumnsRequest {
    #[from(path)]
    pub id: ConversationId,
    #[from(page)]
    pub page: PageRequest,
}

/// List the columns of a board
///
/// In the order of the board.
#[endpoint(GET "/r1/conversations/{id}/board/columns", tag = "boards", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListColumns {
    type Request = ListColumnsRequest;
    type Response = Page<BoardColumn>;

    async fn handle(ctx: &Ctx, request: ListColumnsRequest) -> Result<Reply<Page<BoardColumn>>, AppError> {
        Ok(Reply::of(boards::list_columns(ctx.conversations(), ctx.user()?, request.id, request.page).await?))
    }
}

/// Position: an ordering key (string) or a zero-based index.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ColumnPosition {
    Index(i64),
    Position(String),
}

impl From<ColumnPosition> for ColumnPlace {
    fn from(place: ColumnPosition) -> Self {
        match place {
            ColumnPosition::Index(index) => Self::Index(index),
            ColumnPosition::Position(text) => Self::Position(text),
        }
    }
}

#[dto(request)]
pub struct CreateColumnRequest {
    #[from(path)]
    pub id: ConversationId,
    #[schema(min_length = 1, max_length = 80)]
    pub name: String,
    /// Position; by default at the end.
    pub position: Option<ColumnPosition>,
    /// True if its tasks count as done.
    pub done: Option<bool>,
}

/// Add a column to a board
///
/// Allowed to members who may send messages. At most 30 columns.
#[endpoint(POST "/r1/conversations/{id}/board/columns", tag = "boards", access = Access::User, rate = RateGroup::Write, status = 201, errors(Forbidden, NotAMember, Archived, TooMany))]
impl Endpoint for CreateColumn {
    type Request = CreateColumnRequest;
    type Response = BoardColumn;

    async fn handle(ctx: &Ctx, request: CreateColumnRequest) -> Result<Reply<BoardColumn>, AppError> {
        let (place, done) = (request.position.map(Into::into), request.done.unwrap_or(false));
        let column =
            boards::create_column(ctx.conversations(), ctx.user()?, request.id, &request.name, place, done).await?;
        Ok(Reply::of(column))
    }
}

#[dto(request)]
pub struct ChangeColumnRequest {
    #[from(path)]
    pub id: BoardColumnId,
    #[schema(min_length = 1, max_length = 80)]
    pub name: Option<String>,
    pub position: Option<ColumnPosition>,
    pub done: Option<bool>,
}

/// Rename or move a column
#[endpoint(PATCH "/r1/columns/{id}", tag = "boards", access = Access::User, rate = RateGroup::Write, errors(Forbidden, NotAMember, Archived))]
impl Endpoint for ChangeColumn {
    type Request = ChangeColumnRequest;
    type Response = BoardColumn;

    async fn handle(ctx: &Ctx, request: ChangeColumnRequest) -> Result<Reply<BoardColumn>, AppError> {
        let place = request.position.map(Into::into);
        let change = ColumnChange { name: request.name, place, done: request.done };
        Ok(Reply::of(boards::update_column(ctx.conversations(), ctx.user()?, request.id, change).await?))
    }
}

#[dto(request)]
pub struct DeleteColumnRequest {
    #[from(path)]
    pub id: BoardColumnId,
}

/// Delete a column
///
/// The column must be empty; otherwise returns 409 `wrong_state`.
#[endpoint(DELETE "/r1/columns/{id}", tag = "boards", access = Access::User, rate = RateGroup::Write, errors(Forbidden, NotAMember, Archived, WrongState))]
impl Endpoint for DeleteColumn {
    type Request = DeleteColumnRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: DeleteColumnRequest) -> Result<Reply<NoData>, AppError> {
        boards::delete_column(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ArchiveColumnTasksRequest {
    #[from(path)]
    pub id: BoardColumnId,
}

#[dto(response)]
pub struct ArchivedTasks {
    pub count: u64,
}

/// Archive the tasks of a column
///
/// Archives the first 500 tasks. Repeat the request while `count` is 500.
#[endpoint(POST "/r1/columns/{id}/archive", tag = "boards", access = Access::User, rate = RateGroup::Write, errors(Forbidden, NotAMember, Archived))]
impl Endpoint for ArchiveColumnTasks {
    type Request = ArchiveColumnTasksRequest;
    type Response = ArchivedTasks;

    async fn handle(ctx: &Ctx, request: ArchiveColumnTasksRequest) -> Result<Reply<ArchivedTasks>, AppError> {
        Ok(Reply::of(ArchivedTasks {
            count: boards::archive_column(ctx.conversations(), ctx.user()?, request.id).await?,
        }))
    }
}

#[dto(request)]
pub struct ListTasksRequest {
    #[from(path)]
    pub id: ConversationId,
    #[from(query)]
    pub column_id: Option<BoardColumnId>,
    /// Only tasks assigned to this user.
    #[from(query)]
    pub assignee: Option<UserId>,
    /// True for archived tasks instead of the others, last archived first.
    #[from(query)]
    pub archived: Option<bool>,
    /// True for tasks created from a message.
    #[from(query)]
    pub from_message: Option<bool>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the tasks of a board
///
/// Grouped by column, in the order of the columns.
#[endpoint(GET "/r1/conversations/{id}/tasks", tag = "boards", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListTasks {
    type Request = ListTasksRequest;
    type Response = Page<Task>;

    async fn handle(ctx: &Ctx, request: ListTasksRequest) -> Result<Reply<Page<Task>>, AppError> {
        let filter = TaskFilter {
            column_id: request.column_id,
            assignee: request.assignee,
            is_archived: request.archived.unwrap_or(false),
            is_from_message: request.from_message.unwrap_or(false),
        };
        Ok(Reply::of(boards::list(ctx.conversations(), ctx.user()?, request.id, filter, request.page).await?))
    }
}

#[dto(request)]
pub struct CreateTaskRequest {
    #[from(path)]
    pub id: ConversationId,
    #[schema(min_length = 1, max_length = 200)]
    pub title: String,
    pub column_id: BoardColumnId,
    /// Description in Markdown.
    #[schema(max_length = 10_000)]
    pub description: Option<String>,
    /// Assignees, who must be members of the conversation; at most 20.
    #[schema(max_items = 20)]
    pub assignee_ids: Option<Vec<UserId>>,
    pub due_at: Option<Timestamp>,
    /// At most 10 labels of up to 40 characters each.
    #[schema(max_items = 10)]
    pub labels: Option<Vec<String>>,
    /// Source message, in this conversation.
    pub message_id: Option<MessageId>,
    /// Position in the column; by default at the end.
    #[schema(min_length = 1, max_length = 1_000, pattern = "^[0-9A-Za-z]+$")]
    pub position: Option<String>,
}

/// Add a task to a board
///
/// Allowed to members who may send messages. At most 5,000 tasks.
#[endpoint(POST "/r1/conversations/{id}/tasks", tag = "boards", access = Access::User, rate = RateGroup::Write, status = 201, errors(QuotaExceeded, Forbidden, NotAMember, Archived, TooMany))]
impl Endpoint for CreateTask {
    type Request = CreateTaskRequest;
    type Response = Task;

    async fn handle(ctx: &Ctx, request: CreateTaskRequest) -> Result<Reply<Task>, AppError> {
        let new = NewTask {
            title: request.title,
            column_id: request.column_id,
            description: request.description,
            assignee_ids: request.assignee_ids.unwrap_or_default(),
            due_at: request.due_at,
            labels: request.labels.unwrap_or_default(),
            message_id: request.message_id,
            position: request.position,
        };
        Ok(Reply::of(boards::create(ctx.conversations(), ctx.user()?, request.id, new).await?))
    }
}

/// Assignee whose tasks are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Assignee {
    #[default]
    Me,
}

impl FromText for Assignee {
    fn from_text(text: &str) -> Option<Self> {
        (text == "me").then_some(Self::Me)
    }
}

#[dto(request)]
pub struct ListOwnTasksRequest {
    #[from(query)]
    pub assignee: Option<Assignee>,
    /// True for archived and done tasks; false for the others.
    #[from(query)]
    pub done: Option<bool>,
    /// Only tasks on the board of this conversation.
    #[from(query)]
    pub conversation_id: Option<ConversationId>,
    /// Only tasks with exactly this label.
    #[from(query)]
    pub label: Option<String>,
    /// Only tasks due before this time.
    #[from(query)]
    pub due_before: Option<Timestamp>,
    #[from(page)]
    pub page: PageRequest,
}

/// List your tasks
///
/// Tasks on all boards that the caller can read, by due date; those without one are last.
#[endpoint(GET "/r1/tasks", tag = "boards", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListOwnTasks {
    type Request = ListOwnTasksRequest;
    type Response = Page<OwnTask>;

    async fn handle(ctx: &Ctx, request: ListOwnTasksRequest) -> Result<Reply<Page<OwnTask>>, AppError> {
        // `me` is the only assignee that can be requested.
        let Assignee::Me = request.assignee.unwrap_or_default();
        let filter = OwnTaskFilter {
            is_done: request.done,
            conversation_id: request.conversation_id,
            label: request.label,
            due_before: request.due_before,
        };
        Ok(Reply::of(boards::list_own(ctx.conversations(), ctx.user()?, filter, request.page).await?))
    }
}

#[dto(request)]
pub struct TaskRequest {
    #[from(path)]
    pub id: TaskId,
}

/// Show a task
#[endpoint(GET "/r1/tasks/{id}", tag = "boards", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowTask {
    type Request = TaskRequest;
    type Response = Task;

    async fn handle(ctx: &Ctx, request: TaskRequest) -> Result<Reply<Task>, AppError> {
        Ok(Reply::of(boards::find(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ChangeTaskRequest {
    #[from(path)]
    pub id: TaskId,
    /// Base version. If the task has another one, the request is refused with `stale`, and
    /// `details` has the current task. If omitted, any version is changed.
    pub version: Option<i64>,
    #[schema(min_length = 1, max_length = 200)]
    pub title: Option<String>,
    /// Column of the same board to move to.
    pub column_id: Option<BoardColumnId>,
    #[schema(max_length = 10_000)]
    pub description: Option<String>,
    #[schema(max_items = 20)]
    pub assignee_ids: Option<Vec<UserId>>,
    /// Due date. If null, it is removed.
    pub due_at: Option<Option<Timestamp>>,
    #[schema(max_items = 10)]
    pub labels: Option<Vec<String>>,
    /// Position. By default, a task moved to another column goes to its end. If the position is
    /// taken, it goes right after it.
    #[schema(min_length = 1, max_length = 1_000, pattern = "^[0-9A-Za-z]+$")]
    pub position: Option<String>,
    /// True archives the task: it leaves the board and its reminders stop. False restores its
    /// former position.
    pub archived: Option<bool>,
}

/// Change, move or archive a task
#[endpoint(PATCH "/r1/tasks/{id}", tag = "boards", access = Access::User, rate = RateGroup::Write, errors(QuotaExceeded, Forbidden, NotAMember, Archived, Stale))]
impl Endpoint for ChangeTask {
    type Request = ChangeTaskRequest;
    type Response = Task;

    async fn handle(ctx: &Ctx, request: ChangeTaskRequest) -> Result<Reply<Task>, AppError> {
        let change = TaskChange {
            version: request.version,
            title: request.title,
            column_id: request.column_id,
            description: request.description,
            assignee_ids: request.assignee_ids,
            due_at: request.due_at,
            labels: request.labels,
            position: request.position,
            archived: request.archived,
        };
        Ok(Reply::of(boards::update(ctx.conversations(), ctx.user()?, request.id, change).await?))
    }
}

#[dto(request)]
pub struct DeleteTaskRequest {
    #[from(path)]
    pub id: TaskId,
    /// Version last seen. If the task has another one, the request is refused with `stale`.
    #[from(query)]
    pub version: Option<i64>,
}

/// Delete a task
#[endpoint(DELETE "/r1/tasks/{id}", tag = "boards", access = Access::User, rate = RateGroup::Write, errors(Forbidden, NotAMember, Archived, Stale))]
impl Endpoint for DeleteTask {
    type Request = DeleteTaskRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: DeleteTaskRequest) -> Result<Reply<NoData>, AppError> {
        boards::delete(ctx.conversations(), ctx.user()?, request.id, request.version).await?;
        Ok(Reply::of(NoData))
    }
}
