//! Indexes by which a few rows of a large table are found, where all were read or all of a workspace.

use crate::prelude::*;

pub struct Migration;

/// Name, table, and what of it.
const INDEXES: &[(&str, &str, &str)] = &[
    // What is open in a workspace, most of whose conversations are between two people. The kind is a column so that SQLite prefers it to the index of
    // all conversations of the workspace.
    ("conversations_open", "conversations", "(workspace_id, kind) WHERE kind = 'public_channel' AND NOT is_deleted"),
    // All of a workspace, part by part.
    ("conversations_of_workspace", "conversations", "(workspace_id, id)"),
    // What is old, and what was told of a conversation that is no longer there.
    ("notifications_created", "notifications", "(created_at)"),
    ("notifications_conversation", "notifications", "(conversation_id) WHERE conversation_id IS NOT NULL"),
    // The ended chats of somebody whose account is deleted, and what they share of others.
    ("conversations_ended_chats", "conversations", "(created_by) WHERE kind = 'assistant' AND is_deleted"),
    ("chat_shares_user", "chat_shares", "(user_id)"),
    // What the files of a workspace come to.
    ("message_uploads_space", "message_uploads", "(workspace_id, size)"),
    // The index that was there knows only reports that are not closed.
    ("message_reports_message", "message_reports", "(message_id)"),
    // Guests, who are few: whether one is in a conversation.
    (
        "workspace_members_guests",
        "workspace_members",
        "(workspace_id, role, user_id) WHERE role = 'guest' AND NOT is_deleted",
    ),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, table, what) in INDEXES {
            let sql = format!("CREATE INDEX {name} ON {table} {what}");
            manager.get_connection().execute_unprepared(&sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, table, _) in INDEXES {
            manager.drop_index(Index::drop().name(*name).table(*table).to_owned()).await?;
        }
        Ok(())
    }
}
