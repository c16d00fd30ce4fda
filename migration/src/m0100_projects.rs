//! Sections as projects: what assistants keep to in their chats, and files that they answer from.

use crate::{
    prelude::*,
    schema::{text, uuid_null},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in columns() {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        let index =
            Index::create().name("knowledge_files_section").table("knowledge_files").col("section_id").to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // An earlier release knows no files but those of assistants.
        let connection = manager.get_connection();
        for table in ["knowledge_vectors", "knowledge_pieces"] {
            let of_sections = "SELECT f.id FROM knowledge_files f WHERE f.section_id IS NOT NULL";
            connection.execute_unprepared(&format!("DELETE FROM {table} WHERE file_id IN ({of_sections})")).await?;
        }
        for statement in
            ["DELETE FROM knowledge_files WHERE section_id IS NOT NULL", "DROP INDEX knowledge_files_section"]
        {
            connection.execute_unprepared(statement).await?;
        }
        for (table, column) in columns() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(table).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn columns() -> [(&'static str, ColumnDef); 2] {
    [
        ("sections", text("instructions").default("").to_owned()),
        // Whose the file is, where it is no assistant's; `assistant_id` is the same then.
        ("knowledge_files", uuid_null("section_id")),
    ]
}
