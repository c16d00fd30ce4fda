//! Tenants and who belongs to them.

use crate::{
    prelude::*,
    schema::{big_integer, boolean, string, uuid, uuid_null},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(workspaces()).await?;
        manager.create_index(one_shared_workspace()).await?;
        manager.create_index(one_personal_workspace()).await?;
        manager.create_table(workspace_members()).await?;
        manager
            .create_index(
                Index::create().name("workspace_members_user").table("workspace_members").col("user_id").to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["workspace_members", "workspaces"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn workspaces() -> TableCreateStatement {
    Table::create()
        .table("workspaces")
        .col(uuid("id").primary_key())
        .col(string("name"))
        // personal, shared or team
        .col(string("kind"))
        .col(uuid_null("created_by"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(boolean("is_deleted").default(false))
        .foreign_key(
            ForeignKey::create().name("workspaces_created_by").from("workspaces", "created_by").to("users", "id"),
        )
        .to_owned()
}

/// Instances that start at the same time make one shared workspace.
fn one_shared_workspace() -> IndexCreateStatement {
    Index::create()
        .name("workspaces_shared")
        .table("workspaces")
        .col("kind")
        .unique()
        .and_where(Expr::col("kind").eq("shared").and(Expr::col("is_deleted").eq(false)))
        .to_owned()
}

fn one_personal_workspace() -> IndexCreateStatement {
    Index::create()
        .name("workspaces_personal")
        .table("workspaces")
        .col("created_by")
        .unique()
        .and_where(Expr::col("kind").eq("personal").and(Expr::col("is_deleted").eq(false)))
        .to_owned()
}

fn workspace_members() -> TableCreateStatement {
    Table::create()
        .table("workspace_members")
        .col(uuid("workspace_id"))
        .col(uuid("user_id"))
        .col(string("role"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(boolean("is_deleted").default(false))
        .primary_key(Index::create().col("workspace_id").col("user_id"))
        .foreign_key(
            ForeignKey::create()
                .name("workspace_members_workspace_id")
                .from("workspace_members", "workspace_id")
                .to("workspaces", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .foreign_key(
            ForeignKey::create()
                .name("workspace_members_user_id")
                .from("workspace_members", "user_id")
                .to("users", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}
