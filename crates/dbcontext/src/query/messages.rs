//! Messages. Reads return only messages in conversations that the user may read.

use appcore::{
    AppError, ConversationId, MessageId, Timestamp, UserId,
    view::{self, MessageStatus, SenderKind},
};
use sea_orm::{
    ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, Set, Value,
};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{
    access,
    pieces::{Change, Piece},
    raw,
    rows::{Column, Field, Rows},
    versions::PARALLEL_VERSION,
};
use crate::{constraint::app_error, entity::message};

/// Message with the current name of its sender.
#[derive(Clone, Debug, FromQueryResult)]
pub struct NamedMessage {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    pub seq: i64,
    pub no: i64,
    pub sender_kind: SenderKind,
    pub sender_id: Option<Uuid>,
    pub sender_name: Option<String>,
    /// Icon of the assistant.
    pub sender_glyph: Option<String>,
    pub sender_hue: Option<i32>,
    pub client_id: Option<String>,
    pub content: String,
    pub mentions: Option<String>,
    /// Attachments as JSON.
    pub attachments: Option<String>,
    /// Link previews as JSON.
    pub previews: Option<String>,
    pub status: MessageStatus,
    pub reply_to: Option<MessageId>,
    pub model: Option<String>,
    pub reason: Option<String>,
    pub version: i64,
    pub version_count: i64,
    /// Message with several versions, to whose version `hidden_version` this message belongs. While
    /// set, this message is not shown.
    pub hidden_by: Option<MessageId>,
    pub hidden_version: Option<i64>,
    /// Public view of an answer's tool calls as JSON.
    pub tool_calls: Option<String>,
    /// Metadata of an answer as JSON.
    pub answer: Option<String>,
    /// Root message of the thread that this reply belongs to. `thread_no` is the number of the
    /// reply in the thread.
    pub thread_id: Option<MessageId>,
    pub thread_no: Option<i64>,
    pub also_to_conversation: bool,
    /// For a root message: summary of its thread as JSON.
    pub thread: Option<String>,
    /// Reactions as JSON.
    pub reactions: Option<String>,
    pub pinned_at: Option<Timestamp>,
    /// Forwarded message as JSON.
    pub forwarded: Option<String>,
    /// Poll as JSON.
    pub poll: Option<String>,
    pub edited_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
    /// Time at which a moderator hid the message.
    pub hidden_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

impl NamedMessage {
    /// True if the message is shown in the conversation itself and not only in a thread.
    #[must_use]
    pub const fn is_in_main_conversation(&self) -> bool {
        self.thread_id.is_none() || self.also_to_conversation
    }

    /// Answer of which this message is an alternative, written concurrently by a second model. The
    /// message is not shown until it has become a version of that answer.
    #[must_use]
    pub fn parallel_answer_of(&self) -> Option<MessageId> {
        self.hidden_by.filter(|_| self.hidden_version == Some(PARALLEL_VERSION))
    }
}

/// Parses a JSON column; returns the default value if the column is empty or the message was
/// deleted.
fn parse_json<T: DeserializeOwned + Default>(stored: Option<&str>, is_there: bool) -> Result<T, AppError> {
    match stored {
        Some(text) if is_there => serde_json::from_str(text).map_err(AppError::internal),
        _ => Ok(T::default()),
    }
}

impl TryFrom<NamedMessage> for view::Message {
    type Error = AppError;

    fn try_from(row: NamedMessage) -> Result<Self, AppError> {
        let kind = row.sender_kind;
        let picture = super::assistants::picture(row.sender_glyph, row.sender_hue);
        let sender = match (kind, row.sender_name) {
            (SenderKind::System, name) => {
                view::Sender { kind, id: None, name: name.unwrap_or_else(|| "Natter".to_owned()), picture: None }
            }
            (SenderKind::Deleted, _) | (SenderKind::User, None) => {
                let kind = SenderKind::Deleted;
                view::Sender { kind, id: None, name: "Deleted user".to_owned(), picture: None }
            }
            (kind, name) => {
                view::Sender { kind, id: row.sender_id, name: name.unwrap_or_else(|| "Assistant".to_owned()), picture }
            }
        };
        let is_there = row.deleted_at.is_none();
        Ok(Self {
            id: row.id,
            conversation_id: row.conversation_id,
            seq: row.seq,
            no: row.thread_no.unwrap_or(row.no),
            client_id: row.client_id,
            sender,
            content: if is_there { row.content } else { String::new() },
            status: row.status,
            reply_to: row.reply_to,
            reason: row.reason,
            model: row.model,
            mentions: parse_json(row.mentions.as_deref(), is_there && row.hidden_at.is_none())?,
            attachments: parse_json(row.attachments.as_deref(), is_there)?,
            previews: parse_json(row.previews.as_deref(), is_there)?,
            reactions: parse_json(row.reactions.as_deref(), is_there)?,
            thread_id: row.thread_id,
            also_to_conversation: row.also_to_conversation,
            // The thread stays even if the root message was deleted: replies of other users remain
            // readable.
            thread: parse_json(row.thread.as_deref(), true)?,
            pinned_at: row.pinned_at.filter(|_| is_there),
            forwarded: parse_json(row.forwarded.as_deref(), is_there)?,
            poll: parse_json(row.poll.as_deref(), is_there && row.hidden_at.is_none())?,
            versions: (row.version_count > 1)
                .then_some(view::Versions { index: row.version, count: row.version_count }),
            tool_calls: parse_json(row.tool_calls.as_deref(), is_there)?,
            answer: parse_json(row.answer.as_deref(), is_there)?,
            edited_at: row.edited_at,
            deleted_at: row.deleted_at,
            hidden_at: row.hidden_at.filter(|_| is_there),
            created_at: row.created_at,
        })
    }
}

/// SQL select list and joins for messages `m` with the current names of their senders.
pub(super) const NAMED: &str = "SELECT m.*, COALESCE(u.display_name, a.name) AS sender_name, \
    a.glyph AS sender_glyph, a.hue AS sender_hue FROM messages m \
    LEFT JOIN users u ON m.sender_kind = 'user' AND u.id = m.sender_id AND NOT u.is_deleted \
    LEFT JOIN assistants a ON m.sender_kind = 'assistant' AND a.id = m.sender_id";

/// Finds a message that `reader` may see.
pub async fn find<C: ConnectionTrait>(db: &C, reader: UserId, id: MessageId) -> Result<Option<NamedMessage>, AppError> {
    let (readable, begins) = (access::may_read("c", "$1"), access::history_start("c", "$1"));
    let sql = format!(
        "{NAMED} JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted WHERE m.id = $2 AND {readable} AND m.seq > {begins}"
    );
    find_by_sql(db, sql, vec![reader.into(), id.into()]).await
}

/// Finds a message by its id, without an access check.
pub async fn get<C: ConnectionTrait>(db: &C, id: MessageId) -> Result<Option<NamedMessage>, AppError> {
    find_by_sql(db, format!("{NAMED} WHERE m.id = $1"), vec![id.into()]).await
}

/// Finds messages by their ids, without an access check.
pub async fn get_all<C: ConnectionTrait>(db: &C, ids: &[MessageId]) -> Result<Vec<NamedMessage>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!("{NAMED} JOIN {} ON m.id = w.id", asked.table());
    asked.find::<_, NamedMessage>(db, sql).await
}

/// Finds a sender's message with this `client_id`.
pub async fn by_client_id<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    sender: UserId,
    client_id: &str,
) -> Result<Option<NamedMessage>, AppError> {
    let sql = format!("{NAMED} WHERE m.conversation_id = $1 AND m.sender_id = $2 AND m.client_id = $3");
    find_by_sql(db, sql, vec![id.into(), sender.into(), client_id.into()]).await
}

async fn find_by_sql<C: ConnectionTrait>(
    db: &C,
    sql: String,
    values: Vec<Value>,
) -> Result<Option<NamedMessage>, AppError> {
    raw::find_one::<_, NamedMessage>(db, sql, values).await
}

/// Maximum size of a page, in characters, not counting its last entry: prompts and answers may be
/// long.
pub(super) const PAGE_CHARS: usize = 2_000_000;

/// Maximum clock difference between instances, in milliseconds, that is assumed when sequence
/// numbers are found by time.
const CLOCK_SKEW_MS: i64 = 60_000;

/// Range of a conversation's history.
#[derive(Clone, Copy, Debug, Default)]
pub struct History {
    /// Sequence number of the last event before the history that the reader may see.
    pub begins_after: i64,
    pub before_seq: Option<i64>,
    pub after_seq: Option<i64>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub limit: u64,
}

impl History {
    /// True if the range is read forwards from its start, false if it is read backwards from its
    /// end.
    #[must_use]
    pub const fn is_forward(&self) -> bool {
        self.after_seq.is_some() || (self.from.is_some() && self.before_seq.is_none())
    }
}

/// Condition that the message `m` is shown in the conversation itself and not only in a thread.
pub(super) const IN_MAIN_CONVERSATION: &str = "(m.thread_id IS NULL OR m.also_to_conversation)";

/// Returns the messages of the main conversation, oldest first, and a flag that is true if more
/// follow in the reading direction. Deleted messages are included as placeholders.
pub async fn history<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    part: History,
) -> Result<(Vec<NamedMessage>, bool), AppError> {
    let mut sql = format!("{NAMED} WHERE m.conversation_id = $1 AND m.hidden_by IS NULL AND {IN_MAIN_CONVERSATION}");
    let mut values: Vec<Value> = vec![id.into()];
    let mut condition = |text: &str, value: Value| {
        values.push(value);
        sql.push_str(&format!(" AND {}", text.replace("{}", &format!("${}", values.len()))));
    };
    if part.begins_after > 0 {
        condition("m.seq > {}", part.begins_after.into());
    }
    if let Some(seq) = part.before_seq {
        condition("m.seq < {}", seq.into());
    }
    if let Some(seq) = part.after_seq {
        condition("m.seq > {}", seq.into());
    }
    if let Some(from) = part.from {
        condition("m.created_at >= {}", from.into());
        // Condition on the sequence number at which the range starts.
        condition(
            "m.seq >= (SELECT x.seq FROM messages x WHERE x.conversation_id = $1 AND x.created_at >= {} \
             ORDER BY x.created_at, x.seq LIMIT 1)",
            Timestamp(from.0.saturating_sub(CLOCK_SKEW_MS)).into(),
        );
    }
    if let Some(to) = part.to {
        condition("m.created_at <= {}", to.into());
        condition(
            "m.seq <= (SELECT x.seq FROM messages x WHERE x.conversation_id = $1 AND x.created_at <= {} \
             ORDER BY x.created_at DESC, x.seq DESC LIMIT 1)",
            Timestamp(to.0.saturating_add(CLOCK_SKEW_MS)).into(),
        );
    }
    let order = if part.is_forward() { "ASC" } else { "DESC" };
    sql.push_str(&format!(" ORDER BY m.seq {order} LIMIT {}", part.limit + 1));
    let sql = format!(
        "SELECT * FROM (SELECT h.*, SUM(LENGTH(h.content)) OVER (ORDER BY h.seq {order}) - LENGTH(h.content) AS bulk FROM ({sql}) AS h) AS p \
         WHERE bulk < {PAGE_CHARS} ORDER BY seq {order}"
    );
    let mut found = raw::find::<_, NamedMessage>(db, sql, values).await?;
    let limit = usize::try_from(part.limit).unwrap_or(usize::MAX);
    let chars: usize = found.iter().map(|message| message.content.chars().count()).sum();
    let more = found.len() > limit || chars >= PAGE_CHARS;
    found.truncate(limit);
    if !part.is_forward() {
        found.reverse();
    }
    Ok((found, more))
}

/// Returns the newest message of each of these conversations.
pub async fn newest_of<C: ConnectionTrait>(db: &C, ids: &[ConversationId]) -> Result<Vec<NamedMessage>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!(
        "{NAMED} JOIN {} ON m.id = (SELECT l.id FROM messages l WHERE l.conversation_id = w.id AND l.deleted_at IS NULL AND l.hidden_by IS NULL \
           AND (l.thread_id IS NULL OR l.also_to_conversation) ORDER BY l.seq DESC LIMIT 1)",
        asked.table()
    );
    asked.find::<_, NamedMessage>(db, sql).await
}

/// Returns the newest messages after `begins_after`, up to and including `up_to_seq`, oldest first.
/// Used as an assistant's context.
pub async fn context<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    (begins_after, up_to_seq): (i64, i64),
    limit: u64,
) -> Result<Vec<NamedMessage>, AppError> {
    let part = History { begins_after, before_seq: Some(up_to_seq.saturating_add(1)), limit, ..History::default() };
    Ok(history(db, id, part).await?.0)
}

/// New text of an edited message.
#[derive(Clone, Debug)]
pub struct MessageText {
    pub content: String,
    /// Mentions as JSON.
    pub mentions: Option<String>,
}

/// Updates the texts and mentions of messages.
pub fn edit(edited: Vec<(MessageId, MessageText)>, now: Timestamp) -> Piece {
    static UPDATE: Change<4> = Change::new(
        [Column::Text("content"), Column::Text("mentions"), Column::Int("at"), Column::Uuid("id")],
        "UPDATE messages SET content = w.content, mentions = w.mentions, edited_at = w.at, previews = NULL FROM {} WHERE messages.id = w.id",
        "UPDATE messages SET content = ?, mentions = ?, edited_at = ?, previews = NULL WHERE id = ?",
    );
    let rows =
        edited.into_iter().map(|(id, words)| [words.content.into(), words.mentions.into(), now.0.into(), id.0.into()]);
    UPDATE.piece(rows)
}

/// Reactions, pin, thread summary and other columns that are shown with a message besides its text.
#[derive(Clone, Debug, Default)]
pub struct MessageMarks {
    /// Reactions as JSON.
    pub reactions: Option<String>,
    pub pinned_at: Option<Timestamp>,
    /// Thread summary as JSON.
    pub thread: Option<String>,
    pub thread_last_no: Option<i64>,
    pub thread_at: Option<Timestamp>,
    pub solved_at: Option<Timestamp>,
}

/// Updates the marks of messages.
pub fn update_marks(marked: Vec<(MessageId, MessageMarks)>) -> Piece {
    static UPDATE: Change<7> = Change::new(
        [
            Column::Text("reactions"),
            Column::Int("pinned_at"),
            Column::Text("thread"),
            Column::Int("thread_last_no"),
            Column::Int("thread_at"),
            Column::Int("solved_at"),
            Column::Uuid("id"),
        ],
        "UPDATE messages SET reactions = w.reactions, pinned_at = w.pinned_at, thread = w.thread, thread_last_no = w.thread_last_no, \
           thread_at = w.thread_at, solved_at = w.solved_at FROM {} WHERE messages.id = w.id",
        "UPDATE messages SET reactions = ?, pinned_at = ?, thread = ?, thread_last_no = ?, thread_at = ?, solved_at = ? WHERE id = ?",
    );
    let rows = marked.into_iter().map(|(id, marks)| {
        let [reactions, pinned_at, thread, last_no, at, solved_at] = fields(marks);
        [reactions, pinned_at, thread, last_no, at, solved_at, id.0.into()]
    });
    UPDATE.piece(rows)
}

/// Updates texts and marks in one statement, because a batch must not change the same message in
/// two statements.
pub fn edit_with_marks(edited: Vec<(MessageId, MessageText, MessageMarks)>, now: Timestamp) -> Piece {
    static UPDATE: Change<10> = Change::new(
        [
            Column::Text("content"),
            Column::Text("mentions"),
            Column::Int("at"),
            Column::Text("reactions"),
            Column::Int("pinned_at"),
            Column::Text("thread"),
            Column::Int("thread_last_no"),
            Column::Int("thread_at"),
            Column::Int("solved_at"),
            Column::Uuid("id"),
        ],
        "UPDATE messages SET content = w.content, mentions = w.mentions, edited_at = w.at, previews = NULL, reactions = w.reactions, pinned_at = w.pinned_at, thread = w.thread, \
           thread_last_no = w.thread_last_no, thread_at = w.thread_at, solved_at = w.solved_at FROM {} WHERE messages.id = w.id",
        "UPDATE messages SET content = ?, mentions = ?, edited_at = ?, previews = NULL, reactions = ?, pinned_at = ?, thread = ?, thread_last_no = ?, thread_at = ?, \
           solved_at = ? WHERE id = ?",
    );
    let rows = edited.into_iter().map(|(id, words, marks)| {
        let [reactions, pinned_at, thread, last_no, at, solved_at] = fields(marks);
        let MessageText { content, mentions } = words;
        [
            content.into(),
            mentions.into(),
            now.0.into(),
            reactions,
            pinned_at,
            thread,
            last_no,
            at,
            solved_at,
            id.0.into(),
        ]
    });
    UPDATE.piece(rows)
}

fn fields(marks: MessageMarks) -> [Field; 6] {
    let time = |time: Option<Timestamp>| time.map(|time| time.0).into();
    [
        marks.reactions.into(),
        time(marks.pinned_at),
        marks.thread.into(),
        marks.thread_last_no.into(),
        time(marks.thread_at),
        time(marks.solved_at),
    ]
}

/// Clears the content of deleted messages. Their rows, and the replies to them, stay.
pub fn delete_all(ids: Vec<(MessageId, MessageMarks)>, now: Timestamp) -> Piece {
    static UPDATE: Change<6> = Change::new(
        [
            Column::Int("at"),
            Column::Text("thread"),
            Column::Int("thread_last_no"),
            Column::Int("thread_at"),
            Column::Int("solved_at"),
            Column::Uuid("id"),
        ],
        "UPDATE messages SET content = '', previews = NULL, reactions = NULL, pinned_at = NULL, forwarded = NULL, deleted_at = w.at, thread = w.thread, \
           thread_last_no = w.thread_last_no, thread_at = w.thread_at, solved_at = w.solved_at FROM {} WHERE messages.id = w.id",
        "UPDATE messages SET content = '', previews = NULL, reactions = NULL, pinned_at = NULL, forwarded = NULL, deleted_at = ?, thread = ?, \
           thread_last_no = ?, thread_at = ?, solved_at = ? WHERE id = ?",
    );
    let rows = ids.into_iter().map(|(id, marks)| {
        let [_, _, thread, last_no, at, solved_at] = fields(marks);
        [now.0.into(), thread, last_no, at, solved_at, id.0.into()]
    });
    UPDATE.piece(rows)
}

/// Clears the content of a deleted message; the row stays.
pub async fn delete<C: ConnectionTrait>(db: &C, id: MessageId, now: Timestamp) -> Result<(), AppError> {
    let sql = "UPDATE messages SET content = '', answer = NULL, tool_calls = NULL, attachments = NULL, previews = NULL, reactions = NULL, \
               pinned_at = NULL, forwarded = NULL, poll = NULL, hidden_at = NULL, deleted_at = $2 WHERE id = $1";
    raw::execute(db, sql, vec![id.into(), now.into()]).await?;
    for table in ["tool_calls", "message_reasoning", "reactions", "saved_messages", "hidden_messages", "poll_votes"] {
        raw::execute(db, &format!("DELETE FROM {table} WHERE message_id = $1"), vec![id.into()]).await?;
    }
    Ok(())
}

/// Deletes the reactions to deleted messages, and the users' bookmarks of them.
pub fn remove_reactions_and_bookmarks(ids: &[MessageId]) -> [Piece; 2] {
    static REACTIONS: Change<1> = Change::new(
        [Column::Uuid("id")],
        "DELETE FROM reactions WHERE message_id IN (SELECT w.id FROM {})",
        "DELETE FROM reactions WHERE message_id = ?",
    );
    static SAVED: Change<1> = Change::new(
        [Column::Uuid("id")],
        "DELETE FROM saved_messages WHERE message_id IN (SELECT w.id FROM {})",
        "DELETE FROM saved_messages WHERE message_id = ?",
    );
    [&REACTIONS, &SAVED].map(|change| change.piece(ids.iter().map(|id| [id.0.into()])))
}

/// Sets the status of an assistant's message.
pub async fn set_answer<C: ConnectionTrait>(
    db: &C,
    id: MessageId,
    content: &str,
    status: view::MessageStatus,
    reason: Option<&str>,
    model: Option<&str>,
    figures: Option<&view::AnswerStats>,
) -> Result<(), AppError> {
    let answer = figures.map(serde_json::to_string).transpose().map_err(AppError::internal)?;
    let changed = message::ActiveModel {
        content: Set(content.to_owned()),
        status: Set(status),
        reason: Set(reason.map(str::to_owned)),
        model: model.map_or(NotSet, |model| Set(Some(model.to_owned()))),
        answer: Set(answer),
        ..Default::default()
    };
    let done = message::Entity::update_many().set(changed).filter(message::Column::Id.eq(id)).exec(db).await;
    done.map(drop).map_err(app_error)
}

/// Stores the partial text of an answer; returns `false` if the answer is no longer being
/// generated.
pub async fn store_partial<C: ConnectionTrait>(db: &C, id: MessageId, content: &str) -> Result<bool, AppError> {
    let done = message::Entity::update_many()
        .set(message::ActiveModel { content: Set(content.to_owned()), ..Default::default() })
        .filter(message::Column::Id.eq(id))
        .filter(message::Column::Status.eq(view::MessageStatus::Streaming))
        .filter(message::Column::DeletedAt.is_null())
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}
