//! Batches that are submitted to the batch APIs of providers.

use crate::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, cascading_reference, string, string_null, text, text_null, uuid, uuid_null,
    },
};

pub struct Migration;

const INDEXES: &[&str] =
    &["CREATE INDEX gateway_batch_submissions_batch ON gateway_batch_submissions (batch_id, first_line)"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // `local` or `provider`; NULL until that is decided.
        let execution = string_null("execution");
        manager.alter_table(Table::alter().table("gateway_batches").add_column(execution).to_owned()).await?;
        manager.create_tables(vec![gateway_batch_submissions()]).await?;
        manager.execute_all(INDEXES).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_tables(vec![gateway_batch_submissions()]).await?;
        manager.alter_table(Table::alter().table("gateway_batches").drop_column("execution").to_owned()).await
    }
}

/// Parts of batches that are submitted to a provider, each as one job there.
fn gateway_batch_submissions() -> TableCreateStatement {
    Table::create()
        .table("gateway_batch_submissions")
        .col(uuid("id").primary_key())
        .col(uuid("batch_id"))
        // First and last line of the input file.
        .col(big_integer("first_line"))
        .col(big_integer("last_line"))
        // Number of requests.
        .col(big_integer("total"))
        .col(text("provider"))
        .col(text("model"))
        // `openai` or `anthropic`.
        .col(string("form"))
        .col(string("endpoint"))
        // Beta features of Anthropic's API, comma-separated.
        .col(text_null("betas"))
        // Price in percent of the ordinary one.
        .col(big_integer("price_percent"))
        // Index of the provider's key.
        .col(big_integer("key_index"))
        // `prepared`, `submitting`, `submitted`, `ended` or `refused`.
        .col(string("state"))
        // Ids of the input file and of the job at the provider.
        .col(text_null("file_id"))
        .col(text_null("job_id"))
        // Number of failed attempts to submit it.
        .col(big_integer("attempts"))
        .col(big_integer_null("submitted_at"))
        .col(big_integer_null("cancelled_at"))
        // Reservation of the maximum cost, if anything limits it.
        .col(uuid_null("reservation_id"))
        .col(big_integer("created_at"))
        .foreign_key(&mut cascading_reference("batch_id", "gateway_batches"))
        .to_owned()
}
