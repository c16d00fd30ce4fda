//! Tools of assistants: the servers that have them, who uses which, and what was called.

use crate::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, binary_null, boolean, integer, string, string_null, text, text_null, uuid,
    },
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite takes one column at a time.
        for (table, column) in columns() {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        manager.create_table(servers()).await?;
        manager.create_table(calls()).await?;
        for index in [
            "CREATE UNIQUE INDEX mcp_servers_name ON mcp_servers (search_name)",
            "CREATE INDEX tool_calls_message ON tool_calls (message_id, version)",
        ] {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["tool_calls", "mcp_servers"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        for (table, column) in columns() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(table).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn columns() -> [(&'static str, ColumnDef); 3] {
    [
        // Which tools of which servers it has, as JSON.
        ("assistants", text_null("tools")),
        // What readers are shown of the calls of an answer, as JSON.
        ("messages", text_null("tool_calls")),
        ("message_versions", text_null("tool_calls")),
    ]
}

fn servers() -> TableCreateStatement {
    Table::create()
        .table("mcp_servers")
        .col(uuid("id").primary_key())
        .col(string("name"))
        .col(string("search_name"))
        .col(text_null("description"))
        .col(string("transport"))
        .col(text_null("url"))
        .col(string_null("command"))
        // Headers, or the environment of a program, as JSON; sealed where there is a secret to seal them with.
        .col(binary_null("secrets"))
        .col(boolean("is_sealed"))
        .col(text("secret_names"))
        .col(boolean("is_enabled"))
        .col(string("offered_to"))
        // As the server has told them, and what is done with each, as JSON.
        .col(text("tools"))
        .col(text("modes"))
        .col(big_integer_null("checked_at"))
        .col(text_null("error"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .to_owned()
}

/// Calls of the answers' versions, each with the round of the model that asked for it.
fn calls() -> TableCreateStatement {
    Table::create()
        .table("tool_calls")
        .col(uuid("id").primary_key())
        .col(uuid("message_id"))
        .col(big_integer("version"))
        .col(integer("round"))
        .col(integer("place"))
        // The call's name between model and us, and its function there.
        .col(string("call_id"))
        .col(string("function"))
        .col(text_null("signature"))
        .col(uuid("server_id"))
        .col(string("server"))
        .col(string("tool"))
        .col(text_null("title"))
        .col(text("arguments"))
        .col(string("status"))
        .col(text_null("result"))
        // Whether it does no harm to call it twice.
        .col(boolean("is_repeatable"))
        .col(uuid("asker_id"))
        // Where it stands in the text, in UTF-16 code units.
        .col(big_integer("text_at"))
        // The claim of the job by which it runs.
        .col(integer("attempt"))
        .col(big_integer("asked_at"))
        .col(big_integer_null("expires_at"))
        .col(big_integer_null("started_at"))
        .col(big_integer_null("ended_at"))
        .to_owned()
}
