//! What a gateway says that a dispute is about, beside what it is taken to be about.

use crate::{
    prelude::*,
    schema::{big_integer_null, string_null},
};

pub struct Migration;

const TABLE: &str = "payment_disputes";
const AMOUNT: &str = "told_amount";
const CURRENCY: &str = "told_currency";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column at a time. What was told before isn't known.
        for column in [big_integer_null(AMOUNT), string_null(CURRENCY)] {
            manager.alter_table(Table::alter().table(TABLE).add_column(column).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [AMOUNT, CURRENCY] {
            manager.alter_table(Table::alter().table(TABLE).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
