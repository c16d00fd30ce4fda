//! What a server of tools wants beyond what somebody has allowed when they connected their account.

use crate::{
    prelude::*,
    schema::{boolean, text_null},
};

pub struct Migration;

const TABLE: &str = "mcp_connections";
/// Is asked for as well at each sign-in from then on.
const EXTRA: &str = "extra_scope";
/// It was wanted since the last one.
const LACKS: &str = "lacks_scope";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(TABLE).add_column(text_null(EXTRA)).to_owned()).await?;
        manager.alter_table(Table::alter().table(TABLE).add_column(boolean(LACKS).default(false)).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [LACKS, EXTRA] {
            manager.alter_table(Table::alter().table(TABLE).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
