//! What people are told of, what they want to be told of, and how far each conversation was looked through for it.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, boolean, string, string_null, text, text_null, uuid, uuid_null},
};

pub struct Migration;

const MEMBERS: &str = "conversation_members";
const TABLES: [&str; 4] = ["notification_positions", "notification_keywords", "notification_settings", "notifications"];

const INDEXES: [&str; 7] = [
    "CREATE INDEX notifications_listed ON notifications (user_id, created_at, id)",
    // What is read with a conversation.
    "CREATE INDEX notifications_unread ON notifications (user_id, conversation_id, seq) WHERE read_at IS NULL",
    // One that is unread stands for all of its group.
    "CREATE UNIQUE INDEX notifications_group ON notifications (user_id, kind, group_id) WHERE read_at IS NULL AND group_id IS NOT NULL",
    "CREATE INDEX notifications_message ON notifications (message_id) WHERE message_id IS NOT NULL",
    "CREATE INDEX notification_keywords_word ON notification_keywords (word)",
    "CREATE INDEX notification_settings_all ON notification_settings (user_id) WHERE level = 'all'",
    // Those of a channel who want to be told of everything in it.
    "CREATE INDEX conversation_members_all ON conversation_members (conversation_id) WHERE notify_chosen AND notify = 'all' AND NOT is_deleted",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Otherwise what somebody is told of follows from their settings.
        let chosen = boolean("notify_chosen").default(false).to_owned();
        manager.alter_table(Table::alter().table(MEMBERS).add_column(chosen).to_owned()).await?;
        for table in [notifications(), settings(), keywords(), positions()] {
            manager.create_table(table).await?;
        }
        let db = manager.get_connection();
        for sql in INDEXES {
            db.execute_unprepared(sql).await?;
        }
        db.execute_unprepared("UPDATE conversation_members SET notify_chosen = TRUE WHERE notify <> 'all'").await?;
        // Nobody is told of what was said before.
        db.execute_unprepared(
            "INSERT INTO notification_positions (conversation_id, seq) SELECT id, last_seq FROM conversations",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP INDEX conversation_members_all").await?;
        for table in TABLES {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        manager.alter_table(Table::alter().table(MEMBERS).drop_column("notify_chosen").to_owned()).await
    }
}

fn notifications() -> TableCreateStatement {
    Table::create()
        .table("notifications")
        .col(uuid("user_id"))
        .col(uuid("id"))
        .col(string("kind"))
        .col(uuid_null("conversation_id"))
        .col(uuid_null("message_id"))
        // The message whose thread it is in, where the main line does not show it.
        .col(uuid_null("root_id"))
        .col(uuid_null("actor_id"))
        .col(string_null("detail"))
        .col(uuid_null("upload_id"))
        // Of what has no message that says it.
        .col(string_null("title"))
        .col(text_null("text"))
        // The event up to which one must read for it to be read; in a thread the number of the reply.
        .col(big_integer("seq").default(0))
        .col(big_integer("count").default(1))
        .col(boolean("silent").default(false))
        .col(uuid_null("group_id"))
        .col(big_integer("created_at"))
        .col(big_integer_null("read_at"))
        .primary_key(Index::create().col("user_id").col("id"))
        .to_owned()
}

fn settings() -> TableCreateStatement {
    Table::create()
        .table("notification_settings")
        .col(uuid("user_id").primary_key())
        .col(string("level"))
        // JSON.
        .col(text_null("quiet"))
        .col(big_integer_null("dnd_until"))
        .col(big_integer_null("mail_after_minutes"))
        .col(boolean("push"))
        .col(boolean("show_text"))
        .to_owned()
}

fn keywords() -> TableCreateStatement {
    Table::create()
        .table("notification_keywords")
        .col(uuid("user_id"))
        .col(big_integer("place"))
        .col(text("keyword"))
        // Its first word, folded: by this it is found.
        .col(string("word"))
        .primary_key(Index::create().col("user_id").col("place"))
        .to_owned()
}

fn positions() -> TableCreateStatement {
    Table::create()
        .table("notification_positions")
        .col(uuid("conversation_id").primary_key())
        .col(big_integer("seq"))
        .to_owned()
}
