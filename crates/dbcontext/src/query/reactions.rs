//! Reactions to messages. The summary is stored with the message as JSON.

use appcore::{AppError, MessageId, UserId};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult};

use super::{
    pieces::{Change, Piece},
    rows::{Column, Rows},
};

/// Reaction: emoji of a user on a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, FromQueryResult)]
pub struct ReactionKey {
    pub message_id: MessageId,
    pub emoji: String,
    pub user_id: UserId,
}

const KEY: [Column; 3] = [Column::Uuid("message_id"), Column::Text("emoji"), Column::Uuid("user_id")];

pub async fn existing<C: ConnectionTrait>(db: &C, asked: Vec<ReactionKey>) -> Result<Vec<ReactionKey>, AppError> {
    let rows = asked.into_iter().map(|key| [key.message_id.0.into(), key.emoji.into(), key.user_id.0.into()]);
    let asked = Rows::new(db.get_database_backend(), KEY, rows);
    let sql = format!(
        "SELECT r.message_id, r.emoji, r.user_id FROM {} JOIN reactions r \
           ON r.message_id = w.message_id AND r.emoji = w.emoji AND r.user_id = w.user_id",
        asked.table()
    );
    asked.find::<_, ReactionKey>(db, sql).await
}

/// Returns the first `most` users of each of these reactions, in the order in which they reacted.
pub async fn first_users<C: ConnectionTrait>(
    db: &C,
    asked: Vec<(MessageId, String)>,
    most: usize,
) -> Result<Vec<ReactionKey>, AppError> {
    let rows = asked.into_iter().map(|(message, emoji)| [message.0.into(), emoji.into()]);
    let backend = db.get_database_backend();
    let asked = Rows::new(backend, [Column::Uuid("message_id"), Column::Text("emoji")], rows);
    // Reads only the start of an index for each emoji, because thousands of users may have reacted.
    let first = |columns: &str| {
        format!(
            "SELECT {columns} FROM reactions r WHERE r.message_id = w.message_id AND r.emoji = w.emoji ORDER BY r.seq LIMIT {most}"
        )
    };
    let table = asked.table();
    // PostgreSQL would execute SQLite's form of the query once per reaction.
    let from = if backend == DatabaseBackend::Postgres {
        format!("{table} CROSS JOIN LATERAL ({}) AS p", first("r.*"))
    } else {
        let first = first("r.user_id");
        format!(
            "{table} JOIN reactions p ON p.message_id = w.message_id AND p.emoji = w.emoji AND p.user_id IN ({first})"
        )
    };
    let sql = format!("SELECT p.message_id, p.emoji, p.user_id FROM {from} ORDER BY p.seq");
    asked.find::<_, ReactionKey>(db, sql).await
}

pub fn insert(new: Vec<(ReactionKey, i64)>) -> Piece {
    static INSERT: Change<4> = Change::insert("reactions", [KEY[0], KEY[1], KEY[2], Column::Int("seq")]);
    let rows =
        new.into_iter().map(|(key, seq)| [key.message_id.0.into(), key.emoji.into(), key.user_id.0.into(), seq.into()]);
    INSERT.piece(rows)
}

pub fn remove(gone: Vec<ReactionKey>) -> Piece {
    static DELETE: Change<3> = Change::new(
        KEY,
        "DELETE FROM reactions WHERE (message_id, emoji, user_id) IN (SELECT w.message_id, w.emoji, w.user_id FROM {})",
        "DELETE FROM reactions WHERE message_id = ? AND emoji = ? AND user_id = ?",
    );
    let rows = gone.into_iter().map(|key| [key.message_id.0.into(), key.emoji.into(), key.user_id.0.into()]);
    DELETE.piece(rows)
}
