//! Text that was edited or deleted leaves the event log too: which later events carry a message's text, and what was removed until now.

use sea_orm::DatabaseBackend;

use crate::{prelude::*, schema::uuid_null};

pub struct Migration;

const EVENTS: &str = "conversation_events";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The message whose text the event carries, unless it is the one that created it, which its number finds.
        manager.alter_table(Table::alter().table(EVENTS).add_column(uuid_null("message_id")).to_owned()).await?;
        let db = manager.get_connection();
        for sql in removed_text(manager.get_database_backend()) {
            db.execute_unprepared(&sql).await?;
        }
        let index =
            "CREATE INDEX conversation_events_message ON conversation_events (message_id) WHERE message_id IS NOT NULL";
        db.execute_unprepared(index).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("conversation_events_message").table(EVENTS).to_owned()).await?;
        manager.alter_table(Table::alter().table(EVENTS).drop_column("message_id").to_owned()).await
    }
}

/// Notes what carries text, and puts what is left of it into the events of messages that were edited or deleted.
fn removed_text(backend: DatabaseBackend) -> [String; 3] {
    let (id, content, with_content) = match backend {
        DatabaseBackend::Postgres => (
            "(payload::jsonb #>> '{message,id}')::uuid",
            "(payload::jsonb #>> '{message,content}')",
            "jsonb_set(payload::jsonb, '{message,content}', to_jsonb(m.content))::text",
        ),
        _ => (
            "unhex(replace(json_extract(payload, '$.message.id'), '-', ''))",
            "json_extract(payload, '$.message.content')",
            "json_set(payload, '$.message.content', m.content)",
        ),
    };
    let later = "kind IN ('message.updated', 'message.completed', 'message.failed')";
    [
        format!("UPDATE conversation_events SET message_id = {id} WHERE {later} AND {content} <> ''"),
        format!(
            "UPDATE conversation_events SET payload = {with_content} FROM messages m \
             WHERE kind = 'message.created' AND m.conversation_id = conversation_events.conversation_id AND m.seq = conversation_events.seq \
               AND (m.edited_at IS NOT NULL OR m.deleted_at IS NOT NULL)"
        ),
        format!(
            "UPDATE conversation_events SET payload = {with_content} FROM messages m \
             WHERE {later} AND m.id = conversation_events.message_id AND {content} <> m.content"
        ),
    ]
}
