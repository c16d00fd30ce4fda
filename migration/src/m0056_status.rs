//! What people say of themselves for a while, and mails about what they have missed.

use crate::{
    prelude::*,
    schema::{big_integer_null, boolean, string_null},
};

pub struct Migration;

const USERS: &str = "users";
const SETTINGS: &str = "notification_settings";
const NOTIFICATIONS: &str = "notifications";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in columns() {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        let sql = "CREATE INDEX notification_settings_mail_token ON notification_settings (mail_token) WHERE mail_token IS NOT NULL";
        manager.get_connection().execute_unprepared(sql).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP INDEX notification_settings_mail_token").await?;
        for (table, column) in columns() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(table).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn columns() -> [(&'static str, ColumnDef); 5] {
    [
        (USERS, string_null("status_emoji")),
        (USERS, string_null("status_text")),
        (USERS, big_integer_null("status_until")),
        // By this a mail program unsubscribes somebody.
        (SETTINGS, string_null("mail_token")),
        (NOTIFICATIONS, boolean("mailed").default(false).to_owned()),
    ]
}
