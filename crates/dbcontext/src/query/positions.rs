//! Delivery and read positions of members.

use appcore::{AppError, ConversationId, UserId};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{
    members::count_of,
    raw,
    rows::{Column, Rows},
};

/// Read or delivery position that a member's client has reported.
#[derive(Clone, Copy, Debug)]
pub struct ReportedPosition {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
    pub delivered_seq: i64,
    pub read_seq: i64,
}

/// Position of a member that has changed.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct AdvancedPosition {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
    pub delivered_seq: i64,
    pub read_seq: i64,
    /// Read position shown to others. Ahead of the member's own read position after the member has
    /// marked messages as unread.
    pub receipt_seq: i64,
    pub member_count: i64,
}

/// Advances positions, never backwards and never past the end of the conversation. Returns the
/// changed positions. In conversations with more than `small` members, only read positions are
/// stored.
pub async fn advance<C: ConnectionTrait>(
    db: &C,
    reaches: &[ReportedPosition],
    small: u32,
) -> Result<Vec<AdvancedPosition>, AppError> {
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
    let read_no = message_no_at("w.conversation_id", "w.read_seq");
    let sql = format!(
        "UPDATE conversation_members SET \
           delivered_seq = {most}(conversation_members.delivered_seq, {delivered}), \
           read_seq = {most}(conversation_members.read_seq, {least}(w.read_seq, c.last_seq)), \
           read_no = {most}(conversation_members.read_no, {read_no}) \
         FROM {} JOIN conversations c ON c.id = w.conversation_id \
         WHERE conversation_members.conversation_id = w.conversation_id AND conversation_members.user_id = w.user_id \
           AND NOT conversation_members.is_deleted \
           AND (conversation_members.delivered_seq < {delivered} OR conversation_members.read_seq < {least}(w.read_seq, c.last_seq)) \
         RETURNING conversation_members.conversation_id, conversation_members.user_id, conversation_members.delivered_seq, \
           conversation_members.read_seq, conversation_members.receipt_seq, {member_count} AS member_count",
        rows.table()
    );
    rows.find::<_, AdvancedPosition>(db, sql).await
}

/// SQL expression for the number of the last message up to a sequence number of an event; 0 if
/// there is none.
fn message_no_at(conversation: &str, seq: &str) -> String {
    format!(
        "COALESCE((SELECT n.no FROM messages n WHERE n.conversation_id = {conversation} AND n.seq <= {seq} ORDER BY n.seq DESC LIMIT 1), 0)"
    )
}

/// Moves a member's own read position back to `seq`, so that later messages are unread again. The
/// read position shown to others stays. Returns `false` if the position was not beyond `seq`.
pub async fn move_back<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    user: UserId,
    seq: i64,
) -> Result<bool, AppError> {
    let sql = format!(
        "UPDATE conversation_members SET receipt_seq = CASE WHEN receipt_seq > read_seq THEN receipt_seq ELSE read_seq END, \
           read_seq = $3, read_no = {} \
         WHERE conversation_id = $1 AND user_id = $2 AND NOT is_deleted AND read_seq > $3",
        message_no_at("$1", "$3")
    );
    Ok(raw::execute(db, sql, [id.into(), user.into(), seq.into()]).await? > 0)
}
