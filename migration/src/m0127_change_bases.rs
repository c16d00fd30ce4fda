//! The payment that a change of plan was priced against: it tells which plan holds when the change is refunded.

use crate::{prelude::*, schema::uuid_null};

pub struct Migration;

const TABLE: &str = "payments";
const BASE: &str = "base_payment_id";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).add_column(uuid_null(BASE)).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).drop_column(BASE).to_owned()).await
    }
}
