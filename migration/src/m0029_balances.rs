//! What happens where a balance falls: warnings, and credits that are bought by themselves.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, string, string_null, uuid, uuid_null},
};

pub struct Migration;

const INDEXES: &[&str] = &[
    "CREATE INDEX ledger_accounts_due ON ledger_accounts (id) WHERE is_due = 1",
    "CREATE INDEX credit_top_ups_due ON credit_top_ups (check_at) WHERE check_at IS NOT NULL",
    "CREATE INDEX payments_paid ON payments (paid_at) WHERE paid_at IS NOT NULL",
    "CREATE INDEX payment_refunds_done ON payment_refunds (done_at) WHERE done_at IS NOT NULL",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in columns() {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        manager.create_table(top_ups()).await?;
        let connection = manager.get_connection();
        for index in INDEXES {
            connection.execute_unprepared(index).await?;
        }
        // From when on they are watched is known once somebody has looked. Those who have little already are not told so now.
        connection.execute_unprepared("UPDATE ledger_accounts SET is_due = 1, is_low = 1").await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        for index in ["ledger_accounts_due", "payments_paid", "payment_refunds_done"] {
            connection.execute_unprepared(&format!("DROP INDEX {index}")).await?;
        }
        manager.drop_table(Table::drop().table("credit_top_ups").to_owned()).await?;
        for (table, column) in columns() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(table).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn columns() -> Vec<(&'static str, ColumnDef)> {
    vec![
        // Below which its holder is warned; none: a part of what came last.
        ("ledger_accounts", big_integer_null("low_threshold")),
        // Whether they were.
        ("ledger_accounts", big_integer("is_low").default(0).take()),
        // Below which somebody has to look.
        ("ledger_accounts", big_integer_null("watch_at")),
        ("ledger_accounts", big_integer("is_due").default(0).take()),
    ]
}

/// Accounts that buy credits by themselves.
fn top_ups() -> TableCreateStatement {
    Table::create()
        .table("credit_top_ups")
        // The account's.
        .col(uuid("id").primary_key())
        .col(uuid_null("workspace_id"))
        // Who has said so, and is written to.
        .col(uuid("user_id"))
        .col(uuid("plan_id"))
        .col(uuid("method_id"))
        .col(string("currency"))
        // Below which they are bought.
        .col(big_integer("threshold"))
        // In the smallest unit of the currency.
        .col(big_integer("monthly_limit"))
        .col(big_integer("is_on"))
        .col(string_null("stopped"))
        // The payment that is under way.
        .col(uuid_null("payment_id"))
        .col(big_integer_null("check_at"))
        .col(big_integer("updated_at"))
        .to_owned()
}
