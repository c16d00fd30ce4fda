//! Payments that an administrator has refused: what is paid for them later goes back.

use crate::{prelude::*, schema::big_integer_null};

pub struct Migration;

const TABLE: &str = "payments";
const COLUMN: &str = "refused_at";
/// Only what was refused has a refund without having been paid.
const REFUSED: &str = "UPDATE payments SET refused_at = created_at WHERE stage <> 'paid' \
    AND EXISTS (SELECT 1 FROM payment_refunds r WHERE r.payment_id = payments.id)";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).add_column(big_integer_null(COLUMN)).to_owned()).await?;
        manager.get_connection().execute_unprepared(REFUSED).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).drop_column(COLUMN).to_owned()).await
    }
}
