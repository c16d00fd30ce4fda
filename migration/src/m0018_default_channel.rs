//! Every workspace that is not personal has a default channel, and all of its members but guests are in it.

use sea_orm::DatabaseBackend;

use crate::prelude::*;

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let id = match manager.get_database_backend() {
            DatabaseBackend::Postgres => "gen_random_uuid()",
            _ => "randomblob(16)",
        };
        // Whoever owns the workspace, or came first, stands as the one who made it.
        let maker = "(SELECT m.user_id FROM workspace_members m WHERE m.workspace_id = w.id AND NOT m.is_deleted \
                     ORDER BY CASE m.role WHEN 'owner' THEN 0 ELSE 1 END, m.created_at, m.user_id LIMIT 1)";
        for statement in [
            // One of that name may be there already.
            "UPDATE conversations SET is_default = TRUE WHERE kind = 'public_channel' AND search_title = 'general' AND NOT is_deleted \
               AND archived_at IS NULL",
            &format!(
                "INSERT INTO conversations (id, workspace_id, kind, title, search_title, is_default, last_seq, last_activity_at, \
                   created_by, created_at, is_deleted) \
                 SELECT {id}, w.id, 'public_channel', 'general', 'general', TRUE, 0, w.created_at, {maker}, w.created_at, FALSE \
                 FROM workspaces w WHERE w.kind <> 'personal' AND NOT w.is_deleted AND {maker} IS NOT NULL \
                   AND NOT EXISTS (SELECT 1 FROM conversations c WHERE c.workspace_id = w.id AND c.is_default AND NOT c.is_deleted)"
            ),
            "INSERT INTO conversation_members (conversation_id, user_id, role, joined_at, search_name) \
             SELECT c.id, m.user_id, 'member', m.created_at, u.search_name FROM conversations c \
             JOIN workspace_members m ON m.workspace_id = c.workspace_id AND NOT m.is_deleted AND m.role <> 'guest' \
             JOIN users u ON u.id = m.user_id AND NOT u.is_deleted WHERE c.is_default \
             ON CONFLICT (conversation_id, user_id) DO UPDATE SET is_deleted = FALSE",
            "INSERT INTO conversation_counts (conversation_id, members) SELECT c.id, 0 FROM conversations c WHERE c.is_default \
             ON CONFLICT DO NOTHING",
            "UPDATE conversation_counts SET members = (SELECT COUNT(*) FROM conversation_members m \
               WHERE m.conversation_id = conversation_counts.conversation_id AND NOT m.is_deleted) \
             WHERE conversation_id IN (SELECT c.id FROM conversations c WHERE c.is_default)",
        ] {
            db.execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // They stay, as channels that can be left.
        let statement = "UPDATE conversations SET is_default = FALSE WHERE is_default";
        manager.get_connection().execute_unprepared(statement).await?;
        Ok(())
    }
}
