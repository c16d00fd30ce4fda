//! What a conversation keeps to some: its history to those who were in it, and mentions of everybody to its admins.

use crate::{
    prelude::*,
    schema::{big_integer, string},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite takes one column at a time.
        for (table, column) in columns() {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // An earlier release would show everything to everybody in it.
        let statement = "UPDATE conversations SET is_deleted = TRUE WHERE history = 'from_join'";
        manager.get_connection().execute_unprepared(statement).await?;
        for (table, column) in columns() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(table).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn columns() -> [(&'static str, ColumnDef); 3] {
    [
        ("conversations", string("history").default("all").to_owned()),
        ("conversations", string("mention_all").default("everyone").to_owned()),
        // Where the history begins at joining: the last event before it.
        ("conversation_members", big_integer("from_seq").default(0).to_owned()),
    ]
}
