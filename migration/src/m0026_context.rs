//! Files that are being removed are marked, so that nobody reads or sends them meanwhile; how far the writing down of a
//! voice note is; and which tools somebody lets an assistant call without being asked again.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, string, string_null, text_null, uuid},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite takes one column at a time.
        for (table, column) in columns() {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        manager.create_table(permissions()).await?;
        let index =
            "CREATE UNIQUE INDEX tool_permissions_tool ON tool_permissions (user_id, assistant_id, server_id, tool)";
        manager.get_connection().execute_unprepared(index).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("tool_permissions").to_owned()).await?;
        for (table, column) in columns() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(table).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn permissions() -> TableCreateStatement {
    Table::create()
        .table("tool_permissions")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(uuid("assistant_id"))
        .col(uuid("server_id"))
        .col(string("tool"))
        .col(text_null("title"))
        // Of the tool as it was: a changed one is asked about again.
        .col(string("digest"))
        .col(big_integer("created_at"))
        .to_owned()
}

fn columns() -> [(&'static str, ColumnDef); 4] {
    [
        // Since when it belongs to nobody; its bytes may be gone already.
        ("uploads", big_integer_null("removed_at")),
        // None: nobody writes it down.
        ("uploads", string_null("transcript_state")),
        // What the model wanted, where whoever asked has changed it.
        ("tool_calls", text_null("asked_arguments")),
        // The pictures of a result, as JSON.
        ("tool_calls", text_null("pictures")),
    ]
}
