//! Task boards of conversations.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, boolean, string, string_len, text, uuid, uuid_null},
};

/// Statements that make PostgreSQL order these columns by bytes, as SQLite and the clients do.
pub const POSTGRES_COLLATION: &[&str] = &[
    "ALTER TABLE board_columns ALTER COLUMN position TYPE varchar(1000) COLLATE \"C\"",
    "ALTER TABLE tasks ALTER COLUMN position TYPE varchar(1000) COLLATE \"C\"",
];

/// Maximum length of a position, in characters.
const MAX_POSITION: u32 = 1_000;

pub const INDEXES: &[&str] = &[
    "CREATE UNIQUE INDEX board_columns_place ON board_columns (conversation_id, position)",
    "CREATE INDEX tasks_conversation ON tasks (conversation_id)",
    "CREATE UNIQUE INDEX tasks_place ON tasks (column_id, position)",
    "CREATE INDEX tasks_creator ON tasks (created_by)",
    "CREATE INDEX task_assignees_user ON task_assignees (user_id)",
];

pub fn tables() -> Vec<TableCreateStatement> {
    vec![boards(), board_columns(), tasks(), task_assignees()]
}

fn boards() -> TableCreateStatement {
    Table::create()
        .table("boards")
        .col(uuid("conversation_id").primary_key())
        // Version of the board, incremented by each change. A change locks this row, so changes are
        // applied one at a time.
        .col(big_integer("version"))
        .to_owned()
}

fn board_columns() -> TableCreateStatement {
    Table::create()
        .table("board_columns")
        .col(uuid("id").primary_key())
        .col(uuid("conversation_id"))
        .col(string("name"))
        .col(string_len("position", MAX_POSITION))
        .col(boolean("is_done"))
        .col(big_integer("created_at"))
        .to_owned()
}

fn tasks() -> TableCreateStatement {
    Table::create()
        .table("tasks")
        .col(uuid("id").primary_key())
        .col(uuid("conversation_id"))
        .col(uuid("column_id"))
        .col(string("title"))
        .col(text("description"))
        .col(string_len("position", MAX_POSITION))
        // Labels as a JSON array.
        .col(text("labels"))
        .col(big_integer_null("due_at"))
        .col(uuid_null("message_id"))
        .col(uuid("created_by"))
        .col(big_integer("version"))
        .col(big_integer_null("archived_at"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .to_owned()
}

fn task_assignees() -> TableCreateStatement {
    Table::create()
        .table("task_assignees")
        .col(uuid("task_id"))
        .col(uuid("user_id"))
        .primary_key(Index::create().col("task_id").col("user_id"))
        .to_owned()
}
