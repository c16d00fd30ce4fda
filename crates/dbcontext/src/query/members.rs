//! Who is in which conversation, and how far they have read.

use std::collections::HashMap;

use appcore::{AppError, ConversationId, Timestamp, UserId, WorkspaceId, view};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};
use uuid::Uuid;

use super::rows::{Column, Rows};
use crate::constraint::app_error;

/// A member with their name.
#[derive(Clone, Debug, FromQueryResult)]
pub struct NamedMember {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
    pub display_name: String,
    pub role: String,
    pub read_seq: i64,
    pub delivered_seq: i64,
    pub joined_at: Timestamp,
}

impl TryFrom<NamedMember> for view::Member {
    type Error = AppError;

    fn try_from(row: NamedMember) -> Result<Self, AppError> {
        Ok(Self {
            user_id: row.user_id,
            display_name: row.display_name,
            role: row.role.parse().map_err(AppError::internal)?,
            read_seq: row.read_seq,
            delivered_seq: row.delivered_seq,
            joined_at: row.joined_at,
            presence: None,
            last_seen: None,
        })
    }
}

const NAMED: &str = "SELECT m.conversation_id, m.user_id, u.display_name, m.role, m.read_seq, m.delivered_seq, m.joined_at \
    FROM conversation_members m JOIN users u ON u.id = m.user_id";

/// All members of a conversation, in the order of their joining.
pub async fn of_conversation<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<Vec<NamedMember>, AppError> {
    let sql = format!("{NAMED} WHERE m.conversation_id = $1 AND NOT m.is_deleted ORDER BY m.joined_at, m.user_id");
    NamedMember::find_by_statement(Statement::from_sql_and_values(db.get_database_backend(), sql, [id.into()]))
        .all(db)
        .await
        .map_err(app_error)
}

/// The first `most` members of several conversations at once.
pub async fn of_conversations<C: ConnectionTrait>(
    db: &C,
    ids: &[ConversationId],
    most: u32,
) -> Result<Vec<NamedMember>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!(
        "SELECT * FROM (SELECT m.conversation_id, m.user_id, u.display_name, m.role, m.read_seq, m.delivered_seq, m.joined_at, \
           ROW_NUMBER() OVER (PARTITION BY m.conversation_id ORDER BY m.joined_at, m.user_id) AS place \
           FROM {} JOIN conversation_members m ON m.conversation_id = w.id AND NOT m.is_deleted JOIN users u ON u.id = m.user_id) AS named \
         WHERE place <= {most} ORDER BY place",
        asked.table()
    );
    NamedMember::find_by_statement(asked.statement(sql)?).all(db).await.map_err(app_error)
}

/// One member, if that is what they are.
pub async fn find<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    user: UserId,
) -> Result<Option<NamedMember>, AppError> {
    let sql = format!(
        "{NAMED} JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted \
         WHERE m.conversation_id = $1 AND m.user_id = $2 AND NOT m.is_deleted"
    );
    NamedMember::find_by_statement(Statement::from_sql_and_values(
        db.get_database_backend(),
        sql,
        [id.into(), user.into()],
    ))
    .one(db)
    .await
    .map_err(app_error)
}

/// Makes people members; those who had left come back as what they are now.
pub async fn insert<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    people: impl IntoIterator<Item = (UserId, view::MemberRole)>,
    now: Timestamp,
) -> Result<(), AppError> {
    let columns =
        [Column::Uuid("conversation_id"), Column::Uuid("user_id"), Column::Text("role"), Column::Int("joined_at")];
    let people =
        people.into_iter().map(|(user, role)| [id.0.into(), user.0.into(), role.as_str().into(), now.0.into()]);
    let rows = Rows::new(db.get_database_backend(), columns, people);
    // SQLite reads `ON` after a FROM clause as part of a join, hence the WHERE.
    let sql = format!(
        "INSERT INTO conversation_members (conversation_id, user_id, role, joined_at, read_seq, delivered_seq, is_deleted) \
         SELECT conversation_id, user_id, role, joined_at, 0, 0, FALSE FROM {} WHERE TRUE \
         ON CONFLICT (conversation_id, user_id) DO UPDATE SET role = excluded.role, joined_at = excluded.joined_at, is_deleted = FALSE",
        rows.table()
    );
    db.execute_raw(rows.statement(sql)?).await.map_err(app_error)?;
    Ok(())
}

/// Ends a membership.
pub async fn remove<C: ConnectionTrait>(db: &C, id: ConversationId, user: UserId) -> Result<(), AppError> {
    let sql = "UPDATE conversation_members SET is_deleted = TRUE WHERE conversation_id = $1 AND user_id = $2";
    db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, [id.into(), user.into()]))
        .await
        .map_err(app_error)?;
    Ok(())
}

pub async fn set_role<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    user: UserId,
    role: view::MemberRole,
) -> Result<(), AppError> {
    let sql = "UPDATE conversation_members SET role = $3 WHERE conversation_id = $1 AND user_id = $2";
    db.execute_raw(Statement::from_sql_and_values(
        db.get_database_backend(),
        sql,
        [id.into(), user.into(), role.as_str().into()],
    ))
    .await
    .map_err(app_error)?;
    Ok(())
}

/// How many members the conversation of this id has, as an SQL expression.
pub(super) fn count_of(id: &str) -> String {
    format!("(SELECT COUNT(*) FROM conversation_members o WHERE o.conversation_id = {id} AND NOT o.is_deleted)")
}

/// How far somebody says they have received and read.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
    pub delivered_seq: i64,
    pub read_seq: i64,
}

/// A position that has moved.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct Reached {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
    pub delivered_seq: i64,
    pub read_seq: i64,
    pub member_count: i64,
}

/// Moves positions forward, never back and never past the conversation's end; returns those that moved, as they stand now. In conversations
/// of more than `small` members only what was read counts.
pub async fn reach<C: ConnectionTrait>(db: &C, reaches: &[Reach], small: u32) -> Result<Vec<Reached>, AppError> {
    let backend = db.get_database_backend();
    let (least, most) =
        if backend == sea_orm::DatabaseBackend::Postgres { ("LEAST", "GREATEST") } else { ("MIN", "MAX") };
    let columns = [
        Column::Uuid("conversation_id"),
        Column::Uuid("user_id"),
        Column::Int("delivered_seq"),
        Column::Int("read_seq"),
    ];
    let rows = reaches.iter().map(|reach| {
        [reach.conversation_id.0.into(), reach.user_id.0.into(), reach.delivered_seq.into(), reach.read_seq.into()]
    });
    let rows = Rows::new(backend, columns, rows);
    let count = count_of("c.id");
    let delivered = format!(
        "{least}(CASE WHEN w.delivered_seq > w.read_seq AND {count} <= {small} THEN w.delivered_seq ELSE w.read_seq END, c.last_seq)"
    );
    let member_count = count_of("conversation_members.conversation_id");
    let sql = format!(
        "UPDATE conversation_members SET \
           delivered_seq = {most}(conversation_members.delivered_seq, {delivered}), \
           read_seq = {most}(conversation_members.read_seq, {least}(w.read_seq, c.last_seq)) \
         FROM {} JOIN conversations c ON c.id = w.conversation_id \
         WHERE conversation_members.conversation_id = w.conversation_id AND conversation_members.user_id = w.user_id \
           AND NOT conversation_members.is_deleted \
           AND (conversation_members.delivered_seq < {delivered} OR conversation_members.read_seq < {least}(w.read_seq, c.last_seq)) \
         RETURNING conversation_members.conversation_id, conversation_members.user_id, conversation_members.delivered_seq, \
           conversation_members.read_seq, {member_count} AS member_count",
        rows.table()
    );
    Reached::find_by_statement(rows.statement(sql)?).all(db).await.map_err(app_error)
}

/// A conversation that somebody is in.
#[derive(Clone, Copy, Debug)]
pub struct Followed {
    pub conversation_id: ConversationId,
    pub last_seq: i64,
    pub member_count: u32,
}

/// What somebody's connections follow.
#[derive(Clone, Debug, Default)]
pub struct Following {
    /// Newest activity first.
    pub conversations: Vec<Followed>,
    pub workspaces: Vec<WorkspaceId>,
}

/// Which conversations and workspaces these people are in. Whoever is in none is left out.
pub async fn following<C: ConnectionTrait>(db: &C, users: &[UserId]) -> Result<HashMap<UserId, Following>, AppError> {
    #[derive(FromQueryResult)]
    struct Row {
        user_id: UserId,
        id: Uuid,
        /// None: it is a workspace.
        last_seq: Option<i64>,
        member_count: i64,
    }
    let asked = Rows::ids(db.get_database_backend(), users.iter().map(|id| id.0));
    let sql = format!(
        "WITH asked AS (SELECT w.id FROM {}) \
         SELECT user_id, id, last_seq, member_count FROM ( \
           SELECT m.user_id, c.id, c.last_seq, {} AS member_count, c.last_activity_at AS active_at \
           FROM asked a JOIN conversation_members m ON m.user_id = a.id AND NOT m.is_deleted \
           JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted \
           UNION ALL \
           SELECT p.user_id, s.id, NULL, 0, 0 \
           FROM asked a JOIN workspace_members p ON p.user_id = a.id AND NOT p.is_deleted \
           JOIN workspaces s ON s.id = p.workspace_id AND NOT s.is_deleted) AS followed ORDER BY active_at DESC",
        asked.table(),
        count_of("c.id"),
    );
    let mut found: HashMap<UserId, Following> = HashMap::new();
    for row in Row::find_by_statement(asked.statement(sql)?).all(db).await.map_err(app_error)? {
        let following = found.entry(row.user_id).or_default();
        match row.last_seq {
            Some(last_seq) => following.conversations.push(Followed {
                conversation_id: ConversationId(row.id),
                last_seq,
                member_count: u32::try_from(row.member_count).unwrap_or(u32::MAX),
            }),
            None => following.workspaces.push(WorkspaceId(row.id)),
        }
    }
    Ok(found)
}

/// The conversations of up to `small` members that these people are in.
pub async fn small_conversations<C: ConnectionTrait>(
    db: &C,
    users: &[UserId],
    small: u32,
) -> Result<Vec<(UserId, ConversationId)>, AppError> {
    #[derive(FromQueryResult)]
    struct Row {
        user_id: UserId,
        conversation_id: ConversationId,
    }
    let asked = Rows::ids(db.get_database_backend(), users.iter().map(|id| id.0));
    let sql = format!(
        "SELECT m.user_id, m.conversation_id FROM {} JOIN conversation_members m ON m.user_id = w.id AND NOT m.is_deleted \
         JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted WHERE {} <= {small}",
        asked.table(),
        count_of("c.id"),
    );
    let rows = Row::find_by_statement(asked.statement(sql)?).all(db).await.map_err(app_error)?;
    Ok(rows.into_iter().map(|row| (row.user_id, row.conversation_id)).collect())
}
