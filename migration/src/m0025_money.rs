//! Credits and payments: the ledger, plans, payments with what their gateways said, and subscriptions.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, string, string_null, text, text_null, uuid, uuid_null},
};

pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            ledger_accounts(),
            ledger_entries(),
            credit_grants(),
            credit_holds(),
            pricing_plans(),
            payments(),
            payment_events(),
            payment_refunds(),
            payment_disputes(),
            payment_switches(),
            receipt_years(),
            subscriptions(),
        ] {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            "subscriptions",
            "receipt_years",
            "payment_switches",
            "payment_disputes",
            "payment_refunds",
            "payment_events",
            "payments",
            "pricing_plans",
            "credit_holds",
            "credit_grants",
            "ledger_entries",
            "ledger_accounts",
        ] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

/// The accounts of people and workspaces. Those of the house have no row: nothing is asked of them but their sum.
fn ledger_accounts() -> TableCreateStatement {
    Table::create()
        .table("ledger_accounts")
        // The person's or the workspace's.
        .col(uuid("id").primary_key())
        .col(string("kind"))
        // What is held is part of it.
        .col(big_integer("balance").default(0))
        .col(big_integer("held").default(0))
        // What was used or given back beyond the balance.
        .col(big_integer("owed").default(0))
        .col(big_integer("created_at"))
        .check(Expr::cust("held >= 0 AND balance >= held AND owed >= 0"))
        .to_owned()
}

/// Each row takes an amount from one account and gives it to another, so that all of them together are always zero.
fn ledger_entries() -> TableCreateStatement {
    Table::create()
        .table("ledger_entries")
        .col(uuid("id").primary_key())
        // The one of the two that has a row.
        .col(uuid("account_id"))
        .col(uuid("from_account"))
        .col(uuid("to_account"))
        .col(string("kind"))
        .col(big_integer("amount"))
        .col(big_integer("balance_after"))
        .col(string("source"))
        .col(string("source_id"))
        .col(text_null("note"))
        .col(big_integer("created_at"))
        .check(Expr::cust("amount > 0"))
        .to_owned()
}

fn credit_grants() -> TableCreateStatement {
    Table::create()
        .table("credit_grants")
        .col(uuid("id").primary_key())
        .col(uuid("account_id"))
        .col(big_integer("amount"))
        .col(big_integer("remaining"))
        .col(big_integer_null("expires_at"))
        .col(string("source"))
        .col(string("source_id"))
        .col(big_integer("created_at"))
        .check(Expr::cust("remaining >= 0 AND remaining <= amount"))
        .to_owned()
}

fn credit_holds() -> TableCreateStatement {
    Table::create()
        .table("credit_holds")
        .col(uuid("id").primary_key())
        .col(uuid("account_id"))
        .col(big_integer("amount"))
        .col(big_integer("expires_at"))
        .to_owned()
}

fn pricing_plans() -> TableCreateStatement {
    Table::create()
        .table("pricing_plans")
        .col(uuid("id").primary_key())
        .col(string("name"))
        // `subscription` or `credits`.
        .col(string("kind"))
        // `month` or `year`, of subscriptions.
        .col(string_null("interval"))
        // JSON, read as a whole.
        .col(text("prices"))
        .col(big_integer("credits"))
        .col(text("quotas"))
        .col(text("features"))
        .col(big_integer("trial_days").default(0))
        .col(big_integer("is_active"))
        .col(big_integer("position").default(0))
        .col(big_integer("created_at"))
        .to_owned()
}

fn payments() -> TableCreateStatement {
    Table::create()
        .table("payments")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(uuid("plan_id"))
        .col(string("gateway"))
        .col(big_integer("amount"))
        .col(string("currency"))
        // How far the payer got, and what it looks like with all that came after.
        .col(string("stage"))
        .col(string("status"))
        .col(string("idempotency_key"))
        .col(string_null("return_path"))
        // By which the gateway knows it, and what was paid.
        .col(string_null("reference"))
        .col(string_null("charge"))
        .col(text_null("redirect_url"))
        .col(big_integer("refunded").default(0))
        .col(big_integer("is_disputed").default(0))
        .col(string_null("quarantine"))
        .col(big_integer_null("receipt_year"))
        .col(big_integer_null("receipt_number"))
        .col(big_integer("created_at"))
        .col(big_integer("expires_at"))
        .col(big_integer_null("paid_at"))
        // When the gateway is asked next.
        .col(big_integer_null("check_at"))
        .to_owned()
}

/// What gateways have told. What is about something that is not known yet waits, with `applied_at` null.
fn payment_events() -> TableCreateStatement {
    Table::create()
        .table("payment_events")
        .col(string("gateway"))
        .col(string("event_id"))
        .col(string("kind"))
        .col(text("raw"))
        .col(text("notice"))
        .col(string_null("waits_for"))
        .col(uuid_null("payment_id"))
        .col(big_integer("verified_at"))
        .col(big_integer_null("applied_at"))
        .primary_key(Index::create().col("gateway").col("event_id"))
        .to_owned()
}

fn payment_refunds() -> TableCreateStatement {
    Table::create()
        .table("payment_refunds")
        .col(uuid("id").primary_key())
        .col(uuid("payment_id"))
        .col(string_null("reference"))
        .col(big_integer("amount"))
        // The credits that it took back.
        .col(big_integer("credits"))
        .col(string("state"))
        .col(string("reason"))
        .col(uuid_null("by_user"))
        .col(big_integer("created_at"))
        .col(big_integer_null("check_at"))
        .to_owned()
}

fn payment_disputes() -> TableCreateStatement {
    Table::create()
        .table("payment_disputes")
        .col(uuid("payment_id"))
        .col(string("reference"))
        .col(big_integer("amount"))
        .col(big_integer("credits"))
        .col(string("state"))
        .col(big_integer("created_at"))
        .primary_key(Index::create().col("payment_id").col("reference"))
        .to_owned()
}

fn payment_switches() -> TableCreateStatement {
    Table::create()
        .table("payment_switches")
        .col(string("gateway").primary_key())
        .col(big_integer("enabled"))
        .to_owned()
}

/// The last number of each year's receipts: counted in the transaction that uses it, so there are no gaps.
fn receipt_years() -> TableCreateStatement {
    Table::create().table("receipt_years").col(big_integer("year").primary_key()).col(big_integer("last")).to_owned()
}

/// What somebody has paid for until when. Plans are paid in advance, period by period.
pub(crate) fn subscriptions() -> TableCreateStatement {
    Table::create()
        .table("subscriptions")
        .col(uuid("user_id").primary_key())
        .col(uuid("plan_id"))
        .col(uuid("payment_id"))
        .col(big_integer("starts_at"))
        .col(big_integer("ends_at"))
        .to_owned()
}

fn indexes() -> Vec<IndexCreateStatement> {
    let index = |name: &str, table: &'static str, columns: &[&'static str]| {
        let mut index = Index::create().name(name).table(table).to_owned();
        for column in columns {
            index.col(*column);
        }
        index
    };
    vec![
        index("ledger_entries_source", "ledger_entries", &["source", "source_id", "kind"]).unique().to_owned(),
        index("ledger_entries_account", "ledger_entries", &["account_id", "id"]),
        index("credit_grants_account", "credit_grants", &["account_id", "expires_at"])
            .and_where(Expr::cust("remaining > 0"))
            .to_owned(),
        index("credit_grants_expiry", "credit_grants", &["expires_at"])
            .and_where(Expr::cust("remaining > 0 AND expires_at IS NOT NULL"))
            .to_owned(),
        index("credit_holds_expiry", "credit_holds", &["expires_at"]),
        index("credit_holds_account", "credit_holds", &["account_id"]),
        index("payments_key", "payments", &["user_id", "idempotency_key"]).unique().to_owned(),
        index("payments_user", "payments", &["user_id", "created_at"]),
        index("payments_time", "payments", &["created_at"]),
        index("payments_status", "payments", &["status", "created_at"]),
        index("payments_plan", "payments", &["plan_id"]),
        index("payments_reference", "payments", &["gateway", "reference"])
            .unique()
            .and_where(Expr::cust("reference IS NOT NULL"))
            .to_owned(),
        index("payments_charge", "payments", &["gateway", "charge"])
            .unique()
            .and_where(Expr::cust("charge IS NOT NULL"))
            .to_owned(),
        index("payments_check", "payments", &["check_at"]).and_where(Expr::cust("check_at IS NOT NULL")).to_owned(),
        index("payments_receipt", "payments", &["receipt_year", "receipt_number"])
            .unique()
            .and_where(Expr::cust("receipt_number IS NOT NULL"))
            .to_owned(),
        index("payment_events_waiting", "payment_events", &["gateway", "waits_for"])
            .and_where(Expr::cust("applied_at IS NULL"))
            .to_owned(),
        index("payment_refunds_payment", "payment_refunds", &["payment_id"]),
        index("payment_refunds_reference", "payment_refunds", &["payment_id", "reference"])
            .unique()
            .and_where(Expr::cust("reference IS NOT NULL"))
            .to_owned(),
        index("payment_refunds_check", "payment_refunds", &["check_at"])
            .and_where(Expr::cust("check_at IS NOT NULL"))
            .to_owned(),
    ]
}
