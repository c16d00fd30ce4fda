//! Credits, quotas and subscriptions.

use appcore::{
    ApiKeyId, Timestamp, UserId,
    page::PageRequest,
    view::{BudgetScope, QuotaMetric},
};
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

use super::Planned;
use crate::query::{balances, budgets, ledger, subscriptions, usage};

#[tokio::test]
async fn finds_expired_rows_by_time_index() {
    let db = Planned::new().await;
    ledger::accounts_with_expired(&db, Timestamp(5), Uuid::nil(), 10).await.unwrap();
    db.has("SEARCH g USING INDEX credit_grants_expiry (expires_at>? AND expires_at<?)");
    ledger::expired_reservations(&db, Timestamp(5), (Timestamp(0), Uuid::nil()), 10).await.unwrap();
    db.has("INDEX credit_holds_expiry (expires_at>? AND expires_at<?)");
    budgets::expired_reservations(&db, Timestamp(5), (Timestamp(0), Uuid::nil()), 10).await.unwrap();
    db.has("INDEX budget_holds_expiry (expires_at>? AND expires_at<?)");
    balances::due_accounts(&db, Uuid::nil(), 10).await.unwrap();
    db.has("INDEX ledger_accounts_due (id>?)");
}

#[tokio::test]
async fn finds_quota_usage_of_a_user_by_index() {
    let db = Planned::new().await;
    budgets::quotas_of(&db, UserId::new(), &[QuotaMetric::Answers, QuotaMetric::Tokens]).await.unwrap();
    db.has("INDEX sqlite_autoindex_budgets_1 (scope=? AND scope_id=?)");
}

#[tokio::test]
async fn finds_parts_of_a_keys_calls_by_index() {
    let (db, key) = (Planned::new().await, ApiKeyId::new());
    budgets::count_parts(&db, key, BudgetScope::EndUser).await.unwrap();
    db.has("INDEX budgets_key (key_id=? AND scope=?)");
    budgets::remove_parts(&db, key).await.unwrap();
    db.has("INDEX budgets_key (key_id=?");
    usage::with_request_id(&db, "request", None, PageRequest::new(None, None)).await.unwrap();
    db.has("INDEX usage_requests_request (request_id=?)");
}

#[tokio::test]
async fn counts_seats_of_a_page_of_subscriptions_in_one_statement() {
    let db = Planned::new().await;
    let (two, one, none) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
    for (payment, account) in [(1, 11), (1, 12), (2, 11)] {
        let sql = format!(
            "INSERT INTO payment_credits (payment_id, account_id, credits, created_at) VALUES (x'{payment:032}', x'{account:032}', 5, 0)"
        );
        db.execute_unprepared(&sql).await.unwrap();
    }
    let taken = subscriptions::seats_taken(&db, &[one, two, none]).await.unwrap();
    assert_eq!((taken.get(&two), taken.get(&one), taken.get(&none)), (Some(&2), Some(&1), None));
    db.has("SEARCH c USING COVERING INDEX sqlite_autoindex_payment_credits_1 (payment_id=?)");
}

#[tokio::test]
async fn pages_members_without_a_seat_across_workspaces_of_one_user() {
    let db = Planned::new().await;
    let mut sql = "PRAGMA foreign_keys = OFF;".to_owned();
    for user in [1, 2] {
        sql.push_str(&format!(
            "INSERT INTO users (id, email, display_name, search_name, role, created_at, updated_at) \
             VALUES (x'{user:032}', '{user}@example.org', 'n{user}', 'n{user}', 'user', 0, 0);"
        ));
    }
    for workspace in [8, 9] {
        sql.push_str(&format!(
            "INSERT INTO subscriptions (id, account_id, workspace_id, user_id, plan_id, payment_id, state, seats, anchor_day, period, \
             starts_at, period_end, ends_at, updated_at) \
             VALUES (x'{workspace:032}', x'{workspace:032}', x'{workspace:032}', x'{0:032}', x'{0:032}', x'{workspace:032}', 'active', 5, 1, 1, \
             0, 100, 100, 0);",
            1
        ));
        // All users join at the same time, as after an import.
        for user in [1, 2] {
            sql.push_str(&format!(
                "INSERT INTO workspace_members (workspace_id, user_id, role, created_at, updated_at) \
                 VALUES (x'{workspace:032}', x'{user:032}', 'member', 7, 7);"
            ));
        }
    }
    db.execute_unprepared(&sql).await.unwrap();
    let mut after = (Timestamp(i64::MIN), UserId(Uuid::nil()), Uuid::nil());
    let mut found = Vec::new();
    while let [one] = subscriptions::unseated(&db, Timestamp(50), after, 1).await.unwrap()[..] {
        after = (one.since, one.user_id, one.id);
        found.push((one.user_id.0, one.id));
    }
    let expected = [(1, 8), (1, 9), (2, 8), (2, 9)];
    assert_eq!(found, expected.map(|(user, workspace)| (Uuid::from_u128(user), Uuid::from_u128(workspace))));
}
