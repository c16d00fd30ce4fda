//! Workspaces, their members and invitations.

use crate::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, blob, boolean, cascading_reference, reference, string, string_null, uuid,
        uuid_null,
    },
};

pub struct Migration;

const INDEXES: &[&str] = &[
    // Lets only one of several instances create the shared workspace.
    "CREATE UNIQUE INDEX workspaces_shared ON workspaces (kind) WHERE kind = 'shared' AND is_deleted = FALSE",
    "CREATE UNIQUE INDEX workspaces_personal ON workspaces (created_by) WHERE kind = 'personal' AND is_deleted = FALSE",
    "CREATE INDEX workspace_members_user ON workspace_members (user_id)",
    // Index of guests only, who are few.
    "CREATE INDEX workspace_members_guests ON workspace_members (workspace_id, role, user_id) WHERE role = 'guest' AND NOT is_deleted",
    "CREATE INDEX workspace_domains_domain ON workspace_domains (domain)",
    "CREATE UNIQUE INDEX invitations_token ON invitations (token_hash)",
    "CREATE INDEX invitations_workspace ON invitations (workspace_id)",
    "CREATE INDEX invitations_created_by ON invitations (created_by, created_at)",
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
    vec![workspaces(), workspace_members(), workspace_domains(), invitations()]
}

fn workspaces() -> TableCreateStatement {
    Table::create()
        .table("workspaces")
        .col(uuid("id").primary_key())
        .col(string("name"))
        // `personal`, `shared` or `team`.
        .col(string("kind"))
        .col(uuid_null("created_by"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(boolean("is_deleted").default(false))
        .foreign_key(&mut reference("created_by", "users"))
        .to_owned()
}

fn workspace_members() -> TableCreateStatement {
    Table::create()
        .table("workspace_members")
        .col(uuid("workspace_id"))
        .col(uuid("user_id"))
        .col(string("role"))
        .col(big_integer_null("removed_at"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(boolean("is_deleted").default(false))
        .primary_key(Index::create().col("workspace_id").col("user_id"))
        .foreign_key(&mut cascading_reference("workspace_id", "workspaces"))
        .foreign_key(&mut cascading_reference("user_id", "users"))
        .to_owned()
}

fn workspace_domains() -> TableCreateStatement {
    Table::create()
        .table("workspace_domains")
        .col(uuid("workspace_id"))
        .col(string("domain"))
        .primary_key(Index::create().col("workspace_id").col("domain"))
        .foreign_key(&mut cascading_reference("workspace_id", "workspaces"))
        .to_owned()
}

fn invitations() -> TableCreateStatement {
    Table::create()
        .table("invitations")
        .col(uuid("id").primary_key())
        .col(uuid("workspace_id"))
        // Invited email address; NULL if anyone who has the link may join.
        .col(string_null("email"))
        .col(string("role"))
        // Hash of the token in the link that is shown to the inviter. The hash of the emailed token
        // is in `mail_tokens`.
        .col(blob("token_hash"))
        .col(big_integer("uses"))
        .col(big_integer("max_uses"))
        .col(uuid("created_by"))
        .col(big_integer("expires_at"))
        .col(big_integer_null("revoked_at"))
        .col(big_integer("created_at"))
        .foreign_key(&mut cascading_reference("workspace_id", "workspaces"))
        .foreign_key(&mut reference("created_by", "users"))
        .to_owned()
}
