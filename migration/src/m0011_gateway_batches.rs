//! Files and batches of the AI gateway.

use crate::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, boolean, cascading_reference, reference, string, text, text_null, uuid,
        uuid_null,
    },
};

pub struct Migration;

const INDEXES: &[&str] = &[
    "CREATE INDEX gateway_files_user ON gateway_files (user_id, id)",
    "CREATE INDEX gateway_batches_user ON gateway_batches (user_id, id)",
    "CREATE INDEX gateway_batches_input ON gateway_batches (input_file_id)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_tables(tables()).await?;
        manager.execute_all(INDEXES).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_tables(tables()).await
    }
}

fn tables() -> Vec<TableCreateStatement> {
    vec![gateway_files(), gateway_batches(), gateway_batch_lines()]
}

fn gateway_files() -> TableCreateStatement {
    Table::create()
        .table("gateway_files")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        // Workspace of the key that stored the file; NULL if the key has none.
        .col(uuid_null("workspace_id"))
        .col(text("name"))
        .col(string("purpose"))
        // Size in bytes; while the file is received, the size that is reserved for it.
        .col(big_integer("bytes"))
        // `pending`, `ready` or `deleted`.
        .col(string("state"))
        // True if the file is the input or the result of a batch whose API has no files.
        .col(boolean("is_internal"))
        .col(big_integer_null("expires_at"))
        .col(big_integer("created_at"))
        .foreign_key(&mut reference("user_id", "users"))
        .to_owned()
}

fn gateway_batches() -> TableCreateStatement {
    Table::create()
        .table("gateway_batches")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(uuid_null("workspace_id"))
        // Key by which the requests are authorised and billed.
        .col(uuid("key_id"))
        // `openai` or `anthropic`.
        .col(string("format"))
        .col(string("endpoint"))
        .col(string("status"))
        .col(uuid("input_file_id"))
        .col(uuid_null("output_file_id"))
        .col(uuid_null("error_file_id"))
        // Metadata of the caller as JSON.
        .col(text_null("metadata"))
        // Lifetime of the result files, in seconds.
        .col(big_integer_null("output_lifetime"))
        // Errors in the input file as JSON.
        .col(text_null("errors"))
        // Beta features of Anthropic's API, comma-separated.
        .col(text_null("betas"))
        .col(big_integer("total"))
        // Outcomes, set when the batch has ended.
        .col(big_integer("succeeded"))
        .col(big_integer("errored"))
        .col(big_integer("canceled"))
        .col(big_integer("expired"))
        .col(big_integer_null("started_at"))
        .col(big_integer_null("finalizing_at"))
        .col(big_integer_null("cancelled_at"))
        .col(big_integer_null("ended_at"))
        .col(big_integer("expires_at"))
        .col(big_integer("created_at"))
        .foreign_key(&mut reference("user_id", "users"))
        .to_owned()
}

/// Results of a running batch, until they are written to its result files.
fn gateway_batch_lines() -> TableCreateStatement {
    Table::create()
        .table("gateway_batch_lines")
        .col(uuid("batch_id"))
        // Number of the line in the input file, from 1.
        .col(big_integer("line"))
        .col(string("outcome"))
        // Line of the result file.
        .col(text("result"))
        .primary_key(Index::create().col("batch_id").col("line"))
        .foreign_key(&mut cascading_reference("batch_id", "gateway_batches"))
        .to_owned()
}
