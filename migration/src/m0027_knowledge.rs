//! Files that assistants know: their pieces, and the vectors by which these are found.

use sea_orm::DatabaseBackend;

use crate::{
    prelude::*,
    schema::{big_integer, blob, integer, integer_null, string, string_null, text, text_null, uuid, uuid_null},
};

pub struct Migration;

const INDEXES: [(&str, &str); 3] = [
    ("knowledge_files_assistant", "UNIQUE INDEX {} ON knowledge_files (assistant_id, upload_id)"),
    ("knowledge_files_upload", "INDEX {} ON knowledge_files (upload_id)"),
    ("knowledge_files_workspace", "INDEX {} ON knowledge_files (workspace_id)"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [files(), pieces(), vectors()] {
            manager.create_table(table).await?;
        }
        let connection = manager.get_connection();
        for (name, on) in INDEXES {
            connection.execute_unprepared(&format!("CREATE {}", on.replace("{}", name))).await?;
        }
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            // Vectors don't get smaller by being packed.
            connection
                .execute_unprepared("ALTER TABLE knowledge_vectors ALTER COLUMN vectors SET STORAGE EXTERNAL")
                .await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["knowledge_vectors", "knowledge_pieces", "knowledge_files"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn files() -> TableCreateStatement {
    Table::create()
        .table("knowledge_files")
        .col(uuid("id").primary_key())
        .col(uuid("assistant_id"))
        .col(uuid("workspace_id"))
        .col(uuid("upload_id"))
        // None: the account was deleted.
        .col(uuid_null("added_by"))
        .col(text("name"))
        .col(string("media_type"))
        .col(big_integer("size"))
        .col(string("state"))
        .col(text_null("error"))
        .col(big_integer("pieces").default(0))
        .col(big_integer("embedded").default(0))
        // The name of the model that embeds it, and what tells its vectors from those of others.
        .col(string_null("model"))
        .col(string_null("space"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .to_owned()
}

fn pieces() -> TableCreateStatement {
    Table::create()
        .table("knowledge_pieces")
        .col(uuid("file_id"))
        .col(integer("number"))
        .col(text("text"))
        .col(integer_null("page"))
        .col(text_null("heading"))
        .col(integer_null("line"))
        .primary_key(Index::create().col("file_id").col("number"))
        .to_owned()
}

/// The vectors of some pieces that follow each other: little-endian numbers of 32 bits, each vector of length 1.
fn vectors() -> TableCreateStatement {
    Table::create()
        .table("knowledge_vectors")
        .col(uuid("file_id"))
        .col(integer("first"))
        .col(integer("count"))
        .col(blob("vectors"))
        .primary_key(Index::create().col("file_id").col("first"))
        .to_owned()
}
