//! Members of conversations.

use appcore::{AppError, ConversationId, Timestamp, UserId, page::PageRequest, view};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseBackend, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, Value,
    sea_query::Expr,
};

use super::{
    raw,
    rows::{Column, Rows},
};
use crate::{constraint::app_error, entity::conversation_count};

/// Member with their name.
#[derive(Clone, Debug, FromQueryResult)]
pub struct NamedMember {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
    pub display_name: String,
    pub role: view::MemberRole,
    /// Read position shown to others. Unlike the member's own read position, it doesn't move back
    /// when messages are marked as unread.
    pub read_seq: i64,
    pub delivered_seq: i64,
    pub joined_at: Timestamp,
}

impl From<NamedMember> for view::Member {
    fn from(row: NamedMember) -> Self {
        Self {
            user_id: row.user_id,
            display_name: row.display_name,
            role: row.role,
            read_seq: row.read_seq,
            delivered_seq: row.delivered_seq,
            joined_at: row.joined_at,
            presence: None,
            last_seen: None,
        }
    }
}

const SHOWN: &str = "SELECT m.conversation_id, m.user_id, u.display_name, m.role, \
    CASE WHEN m.receipt_seq > m.read_seq THEN m.receipt_seq ELSE m.read_seq END AS read_seq, m.delivered_seq, m.joined_at";
const MEMBERS: &str = "FROM conversation_members m JOIN users u ON u.id = m.user_id";

/// All members of a small conversation, in the order in which they joined.
pub async fn of_conversation<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<Vec<NamedMember>, AppError> {
    let sql =
        format!("{SHOWN} {MEMBERS} WHERE m.conversation_id = $1 AND NOT m.is_deleted ORDER BY m.joined_at, m.user_id");
    raw::find::<_, NamedMember>(db, sql, [id.into()]).await
}

/// Sort order of members: owners first, then by name. Covered by an index.
const LISTED: &str = "(CASE m.role WHEN 'owner' THEN 0 ELSE 1 END), m.search_name, m.user_id";

/// Returns the first `most` members of several conversations, in the order [`LISTED`].
pub async fn of_conversations<C: ConnectionTrait>(
    db: &C,
    ids: &[ConversationId],
    most: u32,
) -> Result<Vec<NamedMember>, AppError> {
    let backend = db.get_database_backend();
    let asked = Rows::ids(backend, ids.iter().map(|id| id.0));
    let table = asked.table();
    let first = |columns: &str| {
        format!(
            "SELECT {columns} FROM conversation_members m WHERE m.conversation_id = w.id AND NOT m.is_deleted \
             ORDER BY {LISTED} LIMIT {most}"
        )
    };
    // SQLite has no LATERAL joins, and PostgreSQL would execute SQLite's form of the query once per
    // member. It does so with a second join to the members too, until it has statistics.
    let from = if backend == DatabaseBackend::Postgres {
        format!("{table} CROSS JOIN LATERAL ({}) AS m", first("m.*"))
    } else {
        let first = first("m.user_id");
        format!("{table} JOIN conversation_members m ON m.conversation_id = w.id AND m.user_id IN ({first})")
    };
    let sql = format!("{SHOWN} FROM {from} JOIN users u ON u.id = m.user_id ORDER BY {LISTED}");
    asked.find::<_, NamedMember>(db, sql).await
}

/// Returns a page of a conversation's members in the order [`LISTED`], with the total count.
/// Optionally only those with a role, or whose name contains a text.
pub async fn page<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    text: &str,
    role: Option<view::MemberRole>,
    page: PageRequest,
) -> Result<(Vec<NamedMember>, u64), AppError> {
    let mut which = "m.conversation_id = $1 AND NOT m.is_deleted".to_owned();
    let mut values: Vec<Value> = vec![id.into()];
    let text = ::search::fold_name(text);
    if !text.is_empty() {
        values.push(like_pattern(&text).into());
        which.push_str(&format!(" AND m.search_name LIKE ${} ESCAPE '\\'", values.len()));
    }
    if let Some(role) = role {
        values.push(role.as_str().into());
        which.push_str(&format!(" AND m.role = ${}", values.len()));
    }
    let total = if values.len() == 1 {
        count(db, id).await?
    } else {
        super::page::count(db, &format!("FROM conversation_members m WHERE {which}"), values.clone()).await?
    };
    let sql =
        format!("{SHOWN} {MEMBERS} WHERE {which} ORDER BY {LISTED} LIMIT {} OFFSET {}", page.page_size, page.offset());
    Ok((raw::find::<_, NamedMember>(db, sql, values).await?, total))
}

/// `LIKE` pattern for values that contain `text`, with wildcards escaped by `\`.
pub(super) fn like_pattern(text: &str) -> String {
    format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"))
}

/// Number of members.
pub async fn count<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<u64, AppError> {
    let count = conversation_count::Entity::find_by_id(id).one(db).await.map_err(app_error)?;
    Ok(count.map_or(0, |count| u64::try_from(count.members).unwrap_or(0)))
}

/// Returns all members except the given one.
pub async fn others_than<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    user: UserId,
) -> Result<Vec<UserId>, AppError> {
    #[derive(FromQueryResult)]
    struct Other {
        user_id: UserId,
    }
    let sql =
        "SELECT user_id FROM conversation_members WHERE conversation_id = $1 AND user_id <> $2 AND NOT is_deleted";
    let others = raw::find::<_, Other>(db, sql, [id.into(), user.into()]).await?;
    Ok(others.into_iter().map(|other| other.user_id).collect())
}

/// Owner of a conversation.
pub async fn owner<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<Option<UserId>, AppError> {
    #[derive(FromQueryResult)]
    struct Owner {
        user_id: UserId,
    }
    let sql = "SELECT m.user_id FROM conversation_members m WHERE m.conversation_id = $1 AND NOT m.is_deleted \
               AND (CASE m.role WHEN 'owner' THEN 0 ELSE 1 END) = 0 LIMIT 1";
    Ok(raw::find_one::<_, Owner>(db, sql, [id.into()]).await?.map(|owner| owner.user_id))
}

/// Successor of the owner `leaver`: the longest-standing admin, else the longest-standing member.
pub async fn successor<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    leaver: UserId,
) -> Result<Option<UserId>, AppError> {
    #[derive(FromQueryResult)]
    struct Heir {
        user_id: UserId,
    }
    let sql = "SELECT m.user_id FROM conversation_members m WHERE m.conversation_id = $1 AND m.user_id <> $2 AND NOT m.is_deleted \
               ORDER BY CASE m.role WHEN 'owner' THEN 0 WHEN 'admin' THEN 1 ELSE 2 END, m.joined_at, m.user_id LIMIT 1";
    Ok(raw::find_one::<_, Heir>(db, sql, [id.into(), leaver.into()]).await?.map(|heir| heir.user_id))
}

pub async fn find<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    user: UserId,
) -> Result<Option<NamedMember>, AppError> {
    let sql = format!(
        "{SHOWN} {MEMBERS} JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted \
         WHERE m.conversation_id = $1 AND m.user_id = $2 AND NOT m.is_deleted"
    );
    raw::find_one::<_, NamedMember>(db, sql, [id.into(), user.into()]).await
}

/// Inserts members; former members return with their new role.
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
    let sql = format!(
        "INSERT INTO conversation_members (conversation_id, user_id, role, joined_at, search_name) \
         SELECT w.conversation_id, w.user_id, w.role, w.joined_at, u.search_name FROM {} JOIN users u ON u.id = w.user_id WHERE TRUE {}",
        rows.table(),
        rejoin_clause(&[])
    );
    let added = rows.execute(db, sql).await?;
    change_count(db, id, i64::try_from(added).unwrap_or(0)).await
}

/// Hides the history up to the given event from a member, and marks that part as read.
pub async fn hide_history_until<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    user: UserId,
    (seq, no): (i64, i64),
) -> Result<(), AppError> {
    let sql = "UPDATE conversation_members SET from_seq = $3, read_seq = $3, receipt_seq = 0, delivered_seq = $3, read_no = $4 \
               WHERE conversation_id = $1 AND user_id = $2";
    let values = [id.into(), user.into(), seq.into(), no.into()];
    raw::run(db, sql, values).await
}

/// `ON CONFLICT` clause for inserting a member: a former member becomes a member again, and these
/// columns are updated too; a current member stays unchanged.
fn rejoin_clause(columns: &[&str]) -> String {
    let columns: String = columns.iter().map(|column| format!(", {column} = excluded.{column}")).collect();
    format!(
        "ON CONFLICT (conversation_id, user_id) DO UPDATE SET role = excluded.role, joined_at = excluded.joined_at, \
         search_name = excluded.search_name, removed_at = NULL, is_deleted = FALSE{columns} WHERE conversation_members.is_deleted"
    )
}

/// Adds a user to a channel. Returns `false`, and the caller rolls the transaction back, if the
/// user is already a member, if the channel is archived, or if the user was removed and has not
/// been added again since.
///
/// Earlier messages count as read. The user becomes the owner if the channel has none, unless it is
/// a default channel. The statement doesn't touch the rows that messages lock, and its cost doesn't
/// depend on the number of members.
pub async fn join<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    user: UserId,
    now: Timestamp,
    is_let_in: bool,
) -> Result<bool, AppError> {
    // The count is changed first: this serialises concurrent joins and departures, so that they see
    // each other's changes.
    change_count(db, id, 1).await?;
    let values = [id.into(), user.into(), now.into()];
    Ok(raw::execute(db, join_sql(is_let_in), values).await? > 0)
}

fn join_sql(is_let_in: bool) -> String {
    let back = rejoin_clause(&["read_seq", "delivered_seq", "read_no", "from_seq"]);
    let unless_removed = if is_let_in { "" } else { " AND conversation_members.removed_at IS NULL" };
    format!(
        "INSERT INTO conversation_members (conversation_id, user_id, role, joined_at, search_name, read_seq, delivered_seq, read_no, from_seq) \
         SELECT c.id, u.id, CASE WHEN c.is_default OR EXISTS (SELECT 1 FROM conversation_members m WHERE m.conversation_id = c.id \
           AND NOT m.is_deleted AND (CASE m.role WHEN 'owner' THEN 0 ELSE 1 END) = 0) THEN 'member' ELSE 'owner' END, \
         $3, u.search_name, c.last_seq, c.last_seq, c.last_no, c.last_seq FROM conversations c JOIN users u ON u.id = $2 AND NOT u.is_deleted \
         WHERE c.id = $1 AND NOT c.is_deleted AND c.archived_at IS NULL {back}{unless_removed}"
    )
}

/// Ends a membership. If `removed_at` is set, the user can't rejoin until someone adds them.
/// Returns `false` if the user was not a member.
pub async fn remove<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    user: UserId,
    removed_at: Option<Timestamp>,
) -> Result<bool, AppError> {
    let sql = "UPDATE conversation_members SET is_deleted = TRUE, removed_at = $3 \
               WHERE conversation_id = $1 AND user_id = $2 AND NOT is_deleted";
    let values = [id.into(), user.into(), removed_at.into()];
    let gone = i64::try_from(raw::execute(db, sql, values).await?).unwrap_or(0);
    change_count(db, id, -gone).await?;
    Ok(gone > 0)
}

/// Locks the member count, which serialises joins and departures of the conversation until this
/// transaction ends.
pub async fn lock_count<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<(), AppError> {
    change_count(db, id, 0).await
}

async fn change_count<C: ConnectionTrait>(db: &C, id: ConversationId, by: i64) -> Result<(), AppError> {
    conversation_count::Entity::update_many()
        .col_expr(conversation_count::Column::Members, Expr::col(conversation_count::Column::Members).add(by))
        .filter(conversation_count::Column::ConversationId.eq(id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Updates a member's own settings for a conversation. `chooses_notify` states whether `notify`
/// overrides the general settings from now on (`Some(true)`), follows them (`Some(false)`), or
/// stays as it is (`None`). Returns `false` if the user is not a member.
pub async fn set_own<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    user: UserId,
    own: view::OwnSettings,
    chooses_notify: Option<bool>,
) -> Result<bool, AppError> {
    // A notification level that was not chosen keeps following the member's general settings.
    let sql = "UPDATE conversation_members SET notify = CASE WHEN COALESCE($7, notify_chosen) THEN $3 ELSE notify END, \
               notify_chosen = COALESCE($7, notify_chosen), muted_until = $4, pinned = $5, section_id = $6 \
               WHERE conversation_id = $1 AND user_id = $2 AND NOT is_deleted";
    let values = [
        id.into(),
        user.into(),
        own.notify.as_str().into(),
        own.muted_until.into(),
        own.pinned.into(),
        own.section_id.into(),
        chooses_notify.into(),
    ];
    Ok(raw::execute(db, sql, values).await? > 0)
}

pub async fn set_role<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    user: UserId,
    role: view::MemberRole,
) -> Result<(), AppError> {
    let sql = "UPDATE conversation_members SET role = $3 WHERE conversation_id = $1 AND user_id = $2";
    raw::run(db, sql, [id.into(), user.into(), role.as_str().into()]).await
}

/// SQL expression for the number of members of the conversation with this id.
pub(super) fn count_of(id: &str) -> String {
    format!("COALESCE((SELECT o.members FROM conversation_counts o WHERE o.conversation_id = {id}), 0)")
}

#[cfg(test)]
mod tests {
    use migration::{Migrator, MigratorTrait as _};

    use super::*;
    use crate::Database;

    #[derive(FromQueryResult)]
    struct PlanStep {
        detail: String,
    }

    /// Joining and reading the first page of members read only a few rows of an index, however many
    /// members there are.
    #[tokio::test]
    async fn joining_and_listing_read_a_few_members_only() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::connect(&format!("sqlite://{}/test.db", folder.path().display()), 1).await.unwrap();
        Migrator::up(db.schema(), None).await.unwrap();
        let listed =
            format!("{SHOWN} {MEMBERS} WHERE m.conversation_id = $1 AND NOT m.is_deleted ORDER BY {LISTED} LIMIT 50");
        for sql in [join_sql(false), listed] {
            let steps = raw::find::<_, PlanStep>(db.writer(), format!("EXPLAIN QUERY PLAN {sql}"), []).await.unwrap();
            let plan: Vec<String> = steps.into_iter().map(|step| step.detail).collect();
            assert!(plan.iter().any(|step| step.contains("conversation_members_listed")), "{plan:?}");
            assert!(plan.iter().all(|step| !step.starts_with("SCAN") && !step.contains("TEMP B-TREE")), "{plan:?}");
        }
    }
}
