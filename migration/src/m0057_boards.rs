//! Boards of conversations: columns, tasks, and who is to do them.

use sea_orm::DatabaseBackend;

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, boolean, string, string_len, text, uuid, uuid_null},
};

pub struct Migration;

const TABLES: [&str; 4] = ["boards", "board_columns", "tasks", "task_assignees"];
/// The longest position that is taken.
const MAX_POSITION: u32 = 1_000;

/// Name and what comes after `ON`.
const INDEXES: [(&str, &str); 2] =
    [("tasks_conversation", "tasks (conversation_id)"), ("task_assignees_user", "task_assignees (user_id)")];
const UNIQUE: [(&str, &str); 2] = [
    ("board_columns_place", "board_columns (conversation_id, position)"),
    ("tasks_place", "tasks (column_id, position)"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables() {
            manager.create_table(table).await?;
        }
        let connection = manager.get_connection();
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            // Positions are ordered by their bytes, as SQLite and every client do it.
            for table in ["board_columns", "tasks"] {
                let sql =
                    format!("ALTER TABLE {table} ALTER COLUMN position TYPE varchar({MAX_POSITION}) COLLATE \"C\"");
                connection.execute_unprepared(&sql).await?;
            }
        }
        for (name, on) in INDEXES {
            connection.execute_unprepared(&format!("CREATE INDEX {name} ON {on}")).await?;
        }
        for (name, on) in UNIQUE {
            connection.execute_unprepared(&format!("CREATE UNIQUE INDEX {name} ON {on}")).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn tables() -> [TableCreateStatement; 4] {
    [
        Table::create()
            .table("boards")
            .col(uuid("conversation_id").primary_key())
            // Counts the changes. Whoever changes the board holds this row.
            .col(big_integer("version"))
            .to_owned(),
        Table::create()
            .table("board_columns")
            .col(uuid("id").primary_key())
            .col(uuid("conversation_id"))
            .col(string("name"))
            .col(string_len("position", MAX_POSITION))
            .col(boolean("is_done"))
            .col(big_integer("created_at"))
            .to_owned(),
        Table::create()
            .table("tasks")
            .col(uuid("id").primary_key())
            .col(uuid("conversation_id"))
            .col(uuid("column_id"))
            .col(string("title"))
            .col(text("description"))
            .col(string_len("position", MAX_POSITION))
            // A list as JSON.
            .col(text("labels"))
            .col(big_integer_null("due_at"))
            .col(uuid_null("message_id"))
            .col(uuid("created_by"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .col(big_integer("version"))
            .to_owned(),
        Table::create()
            .table("task_assignees")
            .col(uuid("task_id"))
            .col(uuid("user_id"))
            .primary_key(Index::create().col("task_id").col("user_id"))
            .to_owned(),
    ]
}
