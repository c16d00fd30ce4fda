//! Ways to pay that are saved without buying anything, which of them is charged, and what was paid with one.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, string, string_null, text_null, uuid, uuid_null},
};

pub struct Migration;

/// What a subscription is charged to was the default.
const CARRY_OVER: &str = "UPDATE payment_methods SET is_default = 1 WHERE id IN (SELECT method_id FROM subscriptions)";
const INDEX: &str =
    "CREATE INDEX payment_method_setups_due ON payment_method_setups (check_at) WHERE check_at IS NOT NULL";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in columns() {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        manager.create_table(setups()).await?;
        let connection = manager.get_connection();
        connection.execute_unprepared(INDEX).await?;
        connection.execute_unprepared(CARRY_OVER).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("payment_method_setups").to_owned()).await?;
        for (table, column) in columns() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(table).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn columns() -> [(&'static str, ColumnDef); 2] {
    [
        // One of an account's.
        ("payment_methods", big_integer("is_default").default(0).take()),
        // What it is charged to, where that was saved before.
        ("payments", uuid_null("method_id")),
    ]
}

fn setups() -> TableCreateStatement {
    Table::create()
        .table("payment_method_setups")
        .col(uuid("id").primary_key())
        .col(uuid("account_id"))
        .col(uuid("user_id"))
        .col(uuid_null("workspace_id"))
        .col(string("gateway"))
        // `open`, `saved`, `failed` or `expired`.
        .col(string("state"))
        // By which the gateway knows it.
        .col(string_null("reference"))
        .col(text_null("redirect_url"))
        .col(string("return_path"))
        .col(uuid_null("method_id"))
        .col(big_integer("created_at"))
        .col(big_integer("expires_at"))
        // When the gateway is asked about it.
        .col(big_integer_null("check_at"))
        .to_owned()
}
