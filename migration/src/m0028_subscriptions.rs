//! Subscriptions that renew, saved methods, who got what by a payment, who pays, and the comparison with the gateways.

use crate::{
    m0025_money,
    prelude::*,
    schema::{big_integer, big_integer_null, string, string_null, text, text_null, uuid, uuid_null},
};

pub struct Migration;

const INDEXES: &[&str] = &[
    "CREATE UNIQUE INDEX subscriptions_account ON subscriptions (account_id)",
    "CREATE INDEX subscriptions_due ON subscriptions (due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX subscriptions_payment ON subscriptions (payment_id)",
    "CREATE INDEX subscriptions_plan ON subscriptions (plan_id)",
    "CREATE INDEX subscriptions_state ON subscriptions (state, updated_at)",
    "CREATE UNIQUE INDEX payments_period ON payments (subscription_id, period) WHERE purpose = 'renewal'",
    "CREATE INDEX payments_subscription ON payments (subscription_id)",
    "CREATE INDEX payments_workspace ON payments (workspace_id, created_at)",
    "CREATE INDEX payments_gateway ON payments (gateway, created_at)",
    "CREATE INDEX payment_credits_account ON payment_credits (account_id)",
    "CREATE UNIQUE INDEX payment_methods_reference ON payment_methods (gateway, reference, account_id)",
    "CREATE INDEX payment_methods_account ON payment_methods (account_id)",
    "CREATE UNIQUE INDEX payment_refunds_note ON payment_refunds (note_year, note_number) WHERE note_number IS NOT NULL",
    "CREATE UNIQUE INDEX payment_differences_subject ON payment_differences (gateway, kind, subject)",
    "CREATE INDEX payment_differences_state ON payment_differences (state, found_at)",
    "CREATE INDEX payment_events_payment ON payment_events (payment_id)",
];

/// Those of tables that stay when this migration is undone.
const ADDED_INDEXES: &[&str] = &[
    "payments_period",
    "payments_subscription",
    "payments_workspace",
    "payments_gateway",
    "payment_refunds_note",
    "payment_events_payment",
];

/// People keep what they paid for; trials and workspaces' plans end.
const CARRY_BACK: &str = "INSERT INTO subscriptions (user_id, plan_id, payment_id, starts_at, ends_at) \
    SELECT user_id, plan_id, payment_id, starts_at, ends_at FROM subscriptions_after \
    WHERE workspace_id IS NULL AND payment_id IS NOT NULL";

/// Those who had paid for a plan keep it, and are reminded before it ends.
const CARRY_OVER: &str = "INSERT INTO subscriptions (id, account_id, user_id, plan_id, payment_id, state, gateway, currency, seats, \
    anchor_day, period, starts_at, period_end, ends_at, attempts, is_charging, reminded, due_at, updated_at) \
    SELECT s.user_id, s.user_id, s.user_id, s.plan_id, s.payment_id, 'active', p.gateway, p.currency, 1, 0, 1, s.starts_at, s.ends_at, \
    s.ends_at, 0, 0, 0, s.starts_at, s.starts_at FROM subscriptions_before s LEFT JOIN payments p ON p.id = s.payment_id";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let rename = Table::rename().table("subscriptions", "subscriptions_before").to_owned();
        manager.rename_table(rename).await?;
        for table in [
            subscriptions(),
            payment_credits(),
            payment_methods(),
            subscription_trials(),
            billing_details(),
            payment_differences(),
            payment_comparisons(),
        ] {
            manager.create_table(table).await?;
        }
        for (table, column) in columns() {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        let connection = manager.get_connection();
        connection.execute_unprepared(CARRY_OVER).await?;
        manager.drop_table(Table::drop().table("subscriptions_before").to_owned()).await?;
        for index in INDEXES {
            connection.execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        manager.rename_table(Table::rename().table("subscriptions", "subscriptions_after").to_owned()).await?;
        manager.create_table(m0025_money::subscriptions()).await?;
        connection.execute_unprepared(CARRY_BACK).await?;
        for table in [
            "subscriptions_after",
            "payment_credits",
            "payment_methods",
            "subscription_trials",
            "billing_details",
            "payment_differences",
            "payment_comparisons",
        ] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        for index in ADDED_INDEXES {
            connection.execute_unprepared(&format!("DROP INDEX {index}")).await?;
        }
        for (table, column) in columns() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(table).drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn columns() -> Vec<(&'static str, ColumnDef)> {
    vec![
        ("payments", uuid_null("workspace_id")),
        // `purchase`, `renewal` (of a period, by itself), or `change` of a plan.
        ("payments", string("purpose").default("purchase").take()),
        ("payments", uuid_null("subscription_id")),
        ("payments", big_integer_null("period")),
        ("payments", big_integer("seats").default(1).take()),
        // For each seat; none: those of the plan.
        ("payments", big_integer_null("credits")),
        // What the gateway says was paid, where that is something else.
        ("payments", big_integer_null("paid_amount")),
        ("payments", string_null("paid_currency")),
        // The time that it pays for.
        ("payments", big_integer_null("period_start")),
        ("payments", big_integer_null("period_end")),
        // Who pays, as they were then: JSON.
        ("payments", text_null("buyer")),
        ("payment_refunds", big_integer_null("note_year")),
        ("payment_refunds", big_integer_null("note_number")),
        ("payment_refunds", big_integer_null("done_at")),
    ]
}

/// What a person or a workspace has until when. One for each; a new beginning takes the place of one that has ended.
fn subscriptions() -> TableCreateStatement {
    Table::create()
        .table("subscriptions")
        .col(uuid("id").primary_key())
        // The person or the workspace that it is for.
        .col(uuid("account_id"))
        .col(uuid_null("workspace_id"))
        // Who pays, and is written to.
        .col(uuid("user_id"))
        .col(uuid("plan_id"))
        // Of the period.
        .col(uuid_null("payment_id"))
        .col(string("state"))
        .col(string_null("gateway"))
        .col(string_null("currency"))
        .col(big_integer("seats").default(1))
        // The day of the month on which periods end; 0: that of `period_end`.
        .col(big_integer("anchor_day"))
        .col(big_integer("period"))
        .col(big_integer("starts_at"))
        .col(big_integer("period_end"))
        // Until when it holds: the time after the period's end in which it may still be paid is part of it.
        .col(big_integer("ends_at"))
        .col(uuid_null("next_plan_id"))
        .col(big_integer_null("next_seats"))
        .col(uuid_null("method_id"))
        // How often the next period was charged, and whether one such charge is under way.
        .col(big_integer("attempts").default(0))
        .col(big_integer("is_charging").default(0))
        // The period of which the payer was told that it ends.
        .col(big_integer("reminded").default(0))
        .col(big_integer_null("due_at"))
        .col(big_integer("updated_at"))
        .to_owned()
}

/// What each account got by a payment. In a workspace those who are in it have the seats.
fn payment_credits() -> TableCreateStatement {
    Table::create()
        .table("payment_credits")
        .col(uuid("payment_id"))
        .col(uuid("account_id"))
        .col(big_integer("credits"))
        .col(big_integer("created_at"))
        .primary_key(Index::create().col("payment_id").col("account_id"))
        .to_owned()
}

/// What gateways keep for later: no more of a card than what is shown.
fn payment_methods() -> TableCreateStatement {
    Table::create()
        .table("payment_methods")
        .col(uuid("id").primary_key())
        .col(uuid("account_id"))
        .col(uuid("user_id"))
        .col(string("gateway"))
        .col(string("customer"))
        .col(string("reference"))
        .col(string("brand"))
        .col(string("last4"))
        .col(big_integer_null("exp_month"))
        .col(big_integer_null("exp_year"))
        .col(big_integer("created_at"))
        .to_owned()
}

/// Who had their trial.
fn subscription_trials() -> TableCreateStatement {
    Table::create()
        .table("subscription_trials")
        .col(uuid("account_id").primary_key())
        .col(uuid("plan_id"))
        .col(big_integer("created_at"))
        .to_owned()
}

fn billing_details() -> TableCreateStatement {
    Table::create()
        .table("billing_details")
        .col(uuid("account_id").primary_key())
        .col(text("details"))
        .col(big_integer("updated_at"))
        .to_owned()
}

/// Where a gateway and we don't say the same.
fn payment_differences() -> TableCreateStatement {
    Table::create()
        .table("payment_differences")
        .col(uuid("id").primary_key())
        .col(string("gateway"))
        .col(string("kind"))
        // The payment's id, or what the gateway calls it.
        .col(string("subject"))
        .col(uuid_null("payment_id"))
        .col(big_integer_null("ours"))
        .col(big_integer_null("theirs"))
        .col(string_null("currency"))
        .col(string("state"))
        .col(text_null("note"))
        .col(big_integer("found_at"))
        .col(big_integer_null("closed_at"))
        .to_owned()
}

/// Which days were compared.
fn payment_comparisons() -> TableCreateStatement {
    Table::create()
        .table("payment_comparisons")
        .col(string("gateway"))
        .col(big_integer("day"))
        .col(big_integer("due_at"))
        .col(big_integer_null("ended_at"))
        .primary_key(Index::create().col("gateway").col("day"))
        .to_owned()
}
