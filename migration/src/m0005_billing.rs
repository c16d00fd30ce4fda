//! The ledger, plans, payments and subscriptions.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, boolean, string, string_null, text, text_null, uuid, uuid_null},
};

pub struct Migration;

const INDEXES: &[&str] = &[
    "CREATE INDEX ledger_accounts_due ON ledger_accounts (id) WHERE is_due = TRUE",
    "CREATE UNIQUE INDEX ledger_entries_source ON ledger_entries (source, source_id, kind)",
    "CREATE INDEX ledger_entries_account ON ledger_entries (account_id, id)",
    "CREATE INDEX credit_grants_account ON credit_grants (account_id, expires_at) WHERE remaining > 0",
    "CREATE INDEX credit_grants_expiry ON credit_grants (expires_at) WHERE remaining > 0 AND expires_at IS NOT NULL",
    "CREATE INDEX credit_holds_expiry ON credit_holds (expires_at)",
    "CREATE INDEX credit_holds_account ON credit_holds (account_id)",
    "CREATE INDEX credit_top_ups_due ON credit_top_ups (check_at) WHERE check_at IS NOT NULL",
    "CREATE UNIQUE INDEX payments_key ON payments (user_id, idempotency_key)",
    "CREATE INDEX payments_user ON payments (user_id, created_at)",
    "CREATE INDEX payments_time ON payments (created_at)",
    "CREATE INDEX payments_status ON payments (status, created_at)",
    "CREATE INDEX payments_plan ON payments (plan_id)",
    "CREATE UNIQUE INDEX payments_reference ON payments (gateway, reference) WHERE reference IS NOT NULL",
    "CREATE UNIQUE INDEX payments_charge ON payments (gateway, charge) WHERE charge IS NOT NULL",
    "CREATE INDEX payments_check ON payments (check_at) WHERE check_at IS NOT NULL",
    "CREATE UNIQUE INDEX payments_receipt ON payments (receipt_year, receipt_number) WHERE receipt_number IS NOT NULL",
    "CREATE UNIQUE INDEX payments_period ON payments (subscription_id, period) WHERE purpose = 'renewal'",
    "CREATE INDEX payments_subscription ON payments (subscription_id)",
    "CREATE INDEX payments_workspace ON payments (workspace_id, created_at)",
    "CREATE INDEX payments_gateway ON payments (gateway, created_at)",
    "CREATE INDEX payments_paid ON payments (paid_at) WHERE paid_at IS NOT NULL",
    "CREATE INDEX payments_paid_by_gateway ON payments (gateway, paid_at) WHERE paid_at IS NOT NULL",
    "CREATE INDEX payment_events_waiting ON payment_events (gateway, awaited_subject) WHERE applied_at IS NULL",
    "CREATE INDEX payment_events_payment ON payment_events (payment_id)",
    "CREATE INDEX payment_events_received ON payment_events (gateway, verified_at)",
    "CREATE INDEX payment_events_charge ON payment_events (gateway, charge) WHERE applied_at IS NULL AND charge IS NOT NULL",
    "CREATE INDEX payment_events_time ON payment_events (verified_at)",
    "CREATE INDEX payment_refunds_payment ON payment_refunds (payment_id)",
    "CREATE UNIQUE INDEX payment_refunds_reference ON payment_refunds (payment_id, reference) WHERE reference IS NOT NULL",
    "CREATE INDEX payment_refunds_check ON payment_refunds (check_at) WHERE check_at IS NOT NULL",
    "CREATE UNIQUE INDEX payment_refunds_credit_note ON payment_refunds (credit_note_year, credit_note_number) WHERE credit_note_number IS NOT NULL",
    "CREATE INDEX payment_refunds_refunded ON payment_refunds (refunded_at) WHERE refunded_at IS NOT NULL",
    "CREATE INDEX payment_refunds_stuck ON payment_refunds (payment_id) WHERE state = 'pending' AND check_at IS NULL",
    "CREATE INDEX payment_credits_account ON payment_credits (account_id)",
    "CREATE UNIQUE INDEX payment_methods_reference ON payment_methods (gateway, reference, account_id)",
    "CREATE INDEX payment_methods_account ON payment_methods (account_id)",
    "CREATE INDEX payment_method_setups_due ON payment_method_setups (check_at) WHERE check_at IS NOT NULL",
    "CREATE UNIQUE INDEX payment_differences_subject ON payment_differences (gateway, kind, subject)",
    "CREATE INDEX payment_differences_state ON payment_differences (state, found_at)",
    "CREATE UNIQUE INDEX subscriptions_account ON subscriptions (account_id)",
    "CREATE INDEX subscriptions_due ON subscriptions (due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX subscriptions_payment ON subscriptions (payment_id)",
    "CREATE INDEX subscriptions_plan ON subscriptions (plan_id)",
    "CREATE INDEX subscriptions_state ON subscriptions (state, updated_at)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_tables(tables()).await?;
        manager.execute_all(INDEXES).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_tables(tables()).await
    }
}

fn tables() -> Vec<TableCreateStatement> {
    vec![
        ledger_accounts(),
        ledger_entries(),
        credit_grants(),
        credit_holds(),
        credit_top_ups(),
        pricing_plans(),
        payments(),
        payment_events(),
        payment_refunds(),
        payment_disputes(),
        payment_credits(),
        payment_toggles(),
        payment_methods(),
        payment_method_setups(),
        payment_differences(),
        payment_comparisons(),
        receipt_years(),
        billing_details(),
        subscriptions(),
        subscription_trials(),
    ]
}

/// Accounts of users and workspaces. House accounts have no row; their balance is the sum of their entries.
fn ledger_accounts() -> TableCreateStatement {
    Table::create()
        .table("ledger_accounts")
        // Id of the user or workspace that owns the account.
        .col(uuid("id").primary_key())
        .col(string("kind"))
        // Balance, including the reserved amount `held`.
        .col(big_integer("balance").default(0))
        .col(big_integer("held").default(0))
        // Cost of usage and refunds beyond the balance, which the account owes.
        .col(big_integer("owed").default(0))
        // Balance below which the owner is warned; NULL to use a fraction of the last grant.
        .col(big_integer_null("low_threshold"))
        // True if the owner has been warned of the low balance.
        .col(boolean("is_low").default(false))
        // Balance below which the account is due for an examination (alert, automatic top-up).
        .col(big_integer_null("check_threshold"))
        // True if the account is due for an examination.
        .col(boolean("is_due").default(false))
        .col(big_integer("created_at"))
        .check(Expr::cust("held >= 0 AND balance >= held AND owed >= 0"))
        .to_owned()
}

/// Double-entry bookkeeping: each entry moves an amount between two accounts.
fn ledger_entries() -> TableCreateStatement {
    Table::create()
        .table("ledger_entries")
        .col(uuid("id").primary_key())
        // Account of a user or workspace that the entry concerns; the other side is a house
        // account, which has no row.
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

/// Credit reservations for calls in progress.
fn credit_holds() -> TableCreateStatement {
    Table::create()
        .table("credit_holds")
        .col(uuid("id").primary_key())
        .col(uuid("account_id"))
        .col(big_integer("amount"))
        .col(big_integer("expires_at"))
        .to_owned()
}

/// Automatic top-up settings.
fn credit_top_ups() -> TableCreateStatement {
    Table::create()
        .table("credit_top_ups")
        // Id of the ledger account.
        .col(uuid("id").primary_key())
        .col(uuid_null("workspace_id"))
        // User who pays.
        .col(uuid("user_id"))
        .col(uuid("plan_id"))
        .col(uuid("method_id"))
        .col(string("currency"))
        // Balance below which credits are bought.
        .col(big_integer("threshold"))
        // Maximum amount per month, in the smallest unit of the currency.
        .col(big_integer("monthly_limit"))
        .col(boolean("is_on"))
        .col(string_null("stopped"))
        // Top-up payment in progress.
        .col(uuid_null("payment_id"))
        .col(big_integer_null("check_at"))
        .col(big_integer("updated_at"))
        .to_owned()
}

fn pricing_plans() -> TableCreateStatement {
    Table::create()
        .table("pricing_plans")
        .col(uuid("id").primary_key())
        .col(string("name"))
        // `subscription` or `credits`.
        .col(string("kind"))
        // `month` or `year`; set only for subscriptions.
        .col(string_null("interval"))
        // Prices per currency as JSON.
        .col(text("prices"))
        .col(big_integer("credits"))
        .col(text("quotas"))
        .col(text("features"))
        .col(big_integer("trial_days").default(0))
        .col(boolean("is_active"))
        .col(big_integer("position").default(0))
        // Id of the first version of the plan; NULL if this is the first version.
        .col(uuid_null("family"))
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
        // Progress of the payer through the checkout; `status` also covers refunds and disputes.
        .col(string("stage"))
        .col(string("status"))
        .col(string("idempotency_key"))
        .col(string_null("return_path"))
        // Id of the order at the gateway; `charge` is the gateway's id of the paid charge.
        .col(string_null("reference"))
        .col(string_null("charge"))
        .col(text_null("redirect_url"))
        .col(big_integer("refunded").default(0))
        .col(boolean("is_disputed").default(false))
        .col(string_null("quarantine"))
        .col(big_integer_null("receipt_year"))
        .col(big_integer_null("receipt_number"))
        .col(big_integer("expires_at"))
        .col(big_integer_null("paid_at"))
        // Time at which the gateway is polled next.
        .col(big_integer_null("check_at"))
        .col(uuid_null("workspace_id"))
        // `purchase`, `renewal` or `change`.
        .col(string("purpose").default("purchase"))
        .col(uuid_null("subscription_id"))
        .col(big_integer_null("period"))
        .col(big_integer("seats").default(1))
        // Credits per seat; NULL for the credits of the plan.
        .col(big_integer_null("credits"))
        // Amount reported by the gateway, if it differs from the price.
        .col(big_integer_null("paid_amount"))
        .col(string_null("paid_currency"))
        .col(big_integer_null("period_start"))
        .col(big_integer_null("period_end"))
        // Billing details at the time of the payment as JSON.
        .col(text_null("buyer"))
        // Saved payment method that is charged.
        .col(uuid_null("method_id"))
        // Time at which an administrator refused the payment; money that arrives later is refunded.
        .col(big_integer_null("refused_at"))
        // For a plan change: payment of the current period, against which the change was priced.
        .col(uuid_null("base_payment_id"))
        .col(big_integer("created_at"))
        .to_owned()
}

/// Events received from gateways.
fn payment_events() -> TableCreateStatement {
    Table::create()
        .table("payment_events")
        .col(string("gateway"))
        .col(string("event_id"))
        .col(string("kind"))
        .col(text("raw"))
        // Parsed event (`PaymentWebhookEvent`) as JSON.
        .col(text("notice"))
        // Payment or other subject that the event is about and that isn't known yet. The event
        // waits for it; `applied_at` is NULL until then.
        .col(string_null("awaited_subject"))
        .col(uuid_null("payment_id"))
        .col(big_integer("verified_at"))
        .col(big_integer_null("applied_at"))
        // Charge that the waiting event is about.
        .col(string_null("charge"))
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
        // Credits clawed back for the refund.
        .col(big_integer("credits"))
        .col(string("state"))
        .col(string("reason"))
        .col(uuid_null("requested_by"))
        // Time at which the gateway is polled next. If NULL while the refund is pending, an
        // administrator must resolve it.
        .col(big_integer_null("check_at"))
        // Year of the credit note; with `credit_note_number` it identifies the note.
        .col(big_integer_null("credit_note_year"))
        .col(big_integer_null("credit_note_number"))
        .col(big_integer_null("refunded_at"))
        .col(big_integer("attempts").default(0))
        // Time since which the outcome is unknown; written before the request is sent to the
        // gateway.
        .col(big_integer_null("unknown_since"))
        // Gateway's last response that did not settle the refund.
        .col(text_null("last_answer"))
        // Time, according to the gateway, of the event that set the state.
        .col(big_integer_null("reported_at"))
        // Number of times that the gateway reported success after a failure.
        .col(big_integer("reversals").default(0))
        .col(big_integer("created_at"))
        .to_owned()
}

fn payment_disputes() -> TableCreateStatement {
    Table::create()
        .table("payment_disputes")
        .col(uuid("payment_id"))
        .col(string("reference"))
        // Part of the payment that counts as disputed.
        .col(big_integer("amount"))
        .col(big_integer("credits"))
        .col(string("state"))
        // Disputed amount reported by the gateway.
        .col(big_integer_null("reported_amount"))
        .col(string_null("reported_currency"))
        .col(big_integer("created_at"))
        .primary_key(Index::create().col("payment_id").col("reference"))
        .to_owned()
}

/// Credits granted to each account by a payment.
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

/// Gateways that an administrator has switched on or off.
fn payment_toggles() -> TableCreateStatement {
    Table::create().table("payment_toggles").col(string("gateway").primary_key()).col(boolean("enabled")).to_owned()
}

fn payment_methods() -> TableCreateStatement {
    Table::create()
        .table("payment_methods")
        .col(uuid("id").primary_key())
        .col(uuid("account_id"))
        .col(uuid("user_id"))
        .col(string("gateway"))
        .col(string("customer"))
        // Token of the payment method at the gateway.
        .col(string("reference"))
        .col(string("brand"))
        .col(string("last4"))
        .col(big_integer_null("exp_month"))
        .col(big_integer_null("exp_year"))
        .col(boolean("is_default").default(false))
        .col(big_integer("created_at"))
        .to_owned()
}

/// Payment methods that are being saved without a payment.
fn payment_method_setups() -> TableCreateStatement {
    Table::create()
        .table("payment_method_setups")
        .col(uuid("id").primary_key())
        .col(uuid("account_id"))
        .col(uuid("user_id"))
        .col(uuid_null("workspace_id"))
        .col(string("gateway"))
        // `open`, `saved`, `failed` or `expired`.
        .col(string("state"))
        .col(string_null("reference"))
        .col(text_null("redirect_url"))
        .col(string("return_path"))
        .col(uuid_null("method_id"))
        .col(big_integer("expires_at"))
        // Time at which the gateway is polled next.
        .col(big_integer_null("check_at"))
        .col(big_integer("created_at"))
        .to_owned()
}

/// Differences between the records of a gateway and ours.
fn payment_differences() -> TableCreateStatement {
    Table::create()
        .table("payment_differences")
        .col(uuid("id").primary_key())
        .col(string("gateway"))
        .col(string("kind"))
        // Id of the payment or of the gateway's record.
        .col(string("subject"))
        .col(uuid_null("payment_id"))
        .col(big_integer_null("recorded_amount"))
        .col(big_integer_null("reported_amount"))
        .col(string_null("currency"))
        .col(string("state"))
        .col(text_null("note"))
        .col(big_integer("found_at"))
        .col(big_integer_null("closed_at"))
        .to_owned()
}

/// Days whose payments were compared with the gateway.
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

/// Last receipt number per year, incremented in the transaction that uses it so that numbers have no gaps.
fn receipt_years() -> TableCreateStatement {
    Table::create().table("receipt_years").col(big_integer("year").primary_key()).col(big_integer("last")).to_owned()
}

fn billing_details() -> TableCreateStatement {
    Table::create()
        .table("billing_details")
        .col(uuid("account_id").primary_key())
        .col(text("details"))
        .col(big_integer("updated_at"))
        .to_owned()
}

/// Subscriptions. An account has at most one; a new subscription replaces an ended one.
fn subscriptions() -> TableCreateStatement {
    Table::create()
        .table("subscriptions")
        .col(uuid("id").primary_key())
        // User or workspace that the subscription is for; `user_id` pays.
        .col(uuid("account_id"))
        .col(uuid_null("workspace_id"))
        .col(uuid("user_id"))
        .col(uuid("plan_id"))
        // Payment of the current period.
        .col(uuid_null("payment_id"))
        .col(string("state"))
        .col(string_null("gateway"))
        .col(string_null("currency"))
        .col(big_integer("seats").default(1))
        // Day of the month on which periods end; 0 to use the day of `period_end`.
        .col(big_integer("anchor_day"))
        .col(big_integer("period"))
        .col(big_integer("starts_at"))
        .col(big_integer("period_end"))
        // End of the subscription, including the grace period after `period_end`.
        .col(big_integer("ends_at"))
        .col(uuid_null("next_plan_id"))
        .col(big_integer_null("next_seats"))
        .col(uuid_null("method_id"))
        // Number of attempts to charge for the next period.
        .col(big_integer("attempts").default(0))
        // True if a charge attempt is in progress.
        .col(boolean("is_charging").default(false))
        // Last period of whose end the payer was reminded.
        .col(big_integer("reminded_period").default(0))
        .col(big_integer_null("due_at"))
        .col(big_integer("updated_at"))
        .to_owned()
}

/// Accounts that have used their trial.
fn subscription_trials() -> TableCreateStatement {
    Table::create()
        .table("subscription_trials")
        .col(uuid("account_id").primary_key())
        .col(uuid("plan_id"))
        .col(big_integer("created_at"))
        .to_owned()
}
