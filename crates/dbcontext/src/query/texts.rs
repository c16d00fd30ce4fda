//! Size of the texts that users store besides messages and files, which count against their quotas.
//!
//! The size is computed as the sum over the user's rows, which an index finds and whose number the
//! quota bounds. A counter was rejected: every statement that inserts or deletes such a row would
//! have to update it, and a single omission would make it wrong permanently. `OCTET_LENGTH` doesn't
//! read texts that are stored outside of their row, on either database.

use appcore::{AppError, UserId};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::raw;

/// Number of bytes that each row counts in addition to its texts, so that empty rows count too.
const ROW_BYTES: i64 = 200;

/// Table, column of the owner, and text columns of each kind of text.
const TABLES: &[(&str, &str, &[&str])] = &[
    ("notes", "user_id", &["title", "content"]),
    ("drafts", "user_id", &["content"]),
    ("scheduled_messages", "user_id", &["payload"]),
    ("reminders", "user_id", &["note"]),
    ("user_settings", "user_id", &["instructions"]),
    ("sections", "user_id", &["name", "instructions"]),
    ("prompts", "created_by", &["title", "content"]),
    ("assistants", "created_by", &["description", "system_prompt", "starters"]),
    ("tasks", "created_by", &["title", "description", "labels"]),
];

/// Returns the number of bytes that a row with these texts counts.
#[must_use]
pub fn row_bytes(texts: &[&str]) -> i64 {
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    i64::try_from(bytes).unwrap_or(i64::MAX).saturating_add(ROW_BYTES)
}

/// Returns the total number of bytes of a user's texts.
pub async fn bytes_of<C: ConnectionTrait>(db: &C, owner: UserId) -> Result<i64, AppError> {
    #[derive(FromQueryResult)]
    struct Size {
        bytes: i64,
    }
    let of_table = |(table, owner, columns): &(&str, &str, &[&str])| {
        let texts = columns.iter().map(|column| format!("COALESCE(OCTET_LENGTH({column}), 0)"));
        let texts = texts.collect::<Vec<_>>().join(" + ");
        format!("SELECT COALESCE(SUM({texts} + {ROW_BYTES}), 0) AS bytes FROM {table} WHERE {owner} = $1")
    };
    let tables = TABLES.iter().map(of_table).collect::<Vec<_>>().join(" UNION ALL ");
    let sql = format!("SELECT CAST(SUM(bytes) AS BIGINT) AS bytes FROM ({tables}) AS texts");
    let row: Option<Size> = raw::find_one(db, &sql, [owner.into()]).await?;
    Ok(row.map_or(0, |row| row.bytes))
}
