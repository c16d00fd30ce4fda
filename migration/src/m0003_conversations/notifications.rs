//! Notifications, their settings and push subscriptions.

use crate::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, binary, boolean, integer, string, string_null, text, text_null, uuid, uuid_null,
    },
};

pub const INDEXES: &[&str] = &[
    "CREATE INDEX notifications_listed ON notifications (user_id, created_at, id)",
    "CREATE INDEX notifications_unread ON notifications (user_id, conversation_id, seq) WHERE read_at IS NULL",
    // A user has at most one unread notification per group.
    "CREATE UNIQUE INDEX notifications_group ON notifications (user_id, kind, group_id) WHERE read_at IS NULL AND group_id IS NOT NULL",
    "CREATE INDEX notifications_message ON notifications (message_id) WHERE message_id IS NOT NULL",
    "CREATE INDEX notifications_created ON notifications (created_at)",
    "CREATE INDEX notifications_conversation ON notifications (conversation_id) WHERE conversation_id IS NOT NULL",
    "CREATE INDEX notification_settings_all ON notification_settings (user_id) WHERE level = 'all'",
    "CREATE INDEX notification_settings_mail_token ON notification_settings (mail_token) WHERE mail_token IS NOT NULL",
    "CREATE INDEX notification_keywords_word ON notification_keywords (word)",
    "CREATE UNIQUE INDEX push_subscriptions_endpoint ON push_subscriptions (endpoint)",
    "CREATE INDEX push_subscriptions_user ON push_subscriptions (user_id)",
];

pub fn tables() -> Vec<TableCreateStatement> {
    vec![
        notifications(),
        notification_settings(),
        notification_keywords(),
        notification_positions(),
        push_subscriptions(),
        push_keys(),
    ]
}

fn notifications() -> TableCreateStatement {
    Table::create()
        .table("notifications")
        .col(uuid("user_id"))
        .col(uuid("id"))
        .col(string("kind"))
        .col(uuid_null("conversation_id"))
        .col(uuid_null("message_id"))
        // Root message of the thread, if the message is not shown in the main conversation.
        .col(uuid_null("root_id"))
        .col(uuid_null("actor_id"))
        .col(string_null("detail"))
        .col(uuid_null("upload_id"))
        // Title; set only for notifications without a message.
        .col(string_null("title"))
        .col(text_null("text"))
        // Sequence number of the event that the user must read to clear the notification; in a
        // thread, the number of the reply.
        .col(big_integer("seq").default(0))
        .col(big_integer("count").default(1))
        .col(boolean("silent").default(false))
        .col(uuid_null("group_id"))
        .col(big_integer_null("read_at"))
        .col(boolean("pushed").default(false))
        .col(boolean("mailed").default(false))
        .col(big_integer("created_at"))
        .primary_key(Index::create().col("user_id").col("id"))
        .to_owned()
}

fn notification_settings() -> TableCreateStatement {
    Table::create()
        .table("notification_settings")
        .col(uuid("user_id").primary_key())
        .col(string("level"))
        // Quiet hours as JSON.
        .col(text_null("quiet"))
        .col(big_integer_null("dnd_until"))
        .col(big_integer_null("mail_after_minutes"))
        .col(boolean("push"))
        .col(boolean("show_text"))
        // Token of the unsubscribe link.
        .col(string_null("mail_token"))
        .to_owned()
}

fn notification_keywords() -> TableCreateStatement {
    Table::create()
        .table("notification_keywords")
        .col(uuid("user_id"))
        .col(big_integer("place"))
        .col(text("keyword"))
        // First word of the keyword, folded; indexed for look-ups.
        .col(string("word"))
        .primary_key(Index::create().col("user_id").col("place"))
        .to_owned()
}

/// Position up to which the notifier has read each log.
fn notification_positions() -> TableCreateStatement {
    Table::create()
        .table("notification_positions")
        .col(uuid("conversation_id").primary_key())
        .col(big_integer("seq"))
        .to_owned()
}

fn push_subscriptions() -> TableCreateStatement {
    Table::create()
        .table("push_subscriptions")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        // Session of the browser; the subscription ends with it.
        .col(uuid("session_id"))
        .col(text("endpoint"))
        .col(binary("p256dh"))
        .col(binary("auth"))
        .col(big_integer("created_at"))
        .to_owned()
}

fn push_keys() -> TableCreateStatement {
    Table::create()
        .table("push_keys")
        .col(integer("id").primary_key())
        .col(binary("private_key"))
        .col(boolean("is_sealed"))
        .col(string("public_key"))
        .to_owned()
}
