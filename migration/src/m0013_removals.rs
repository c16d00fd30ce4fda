//! Who was removed from a workspace, and whose invitations are looked for.

use crate::{prelude::*, schema::big_integer_null};

pub struct Migration;

const MEMBERS: &str = "workspace_members";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .alter_table(Table::alter().table(MEMBERS).add_column(big_integer_null("removed_at")).to_owned())
            .await?;
        // Counted for each invitation that is mailed, and revoked when its maker goes.
        manager
            .create_index(
                Index::create()
                    .name("invitations_created_by")
                    .table("invitations")
                    .col("created_by")
                    .col("created_at")
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("invitations_created_by").table("invitations").to_owned()).await?;
        manager.alter_table(Table::alter().table(MEMBERS).drop_column("removed_at").to_owned()).await
    }
}
