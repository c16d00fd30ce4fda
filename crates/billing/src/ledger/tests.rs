//! Account rules under random sequences of operations, and the ledger on each database.

use std::time::Duration;

use appcore::{Timestamp, UserId, credits::MicroCredits};
use dbcontext::{Database, entity::ledger_account, query::ledger as rows};
use proptest::prelude::*;
use uuid::Uuid;

use super::{AccountHolder, EntryKind, LedgerAccount, LockedAccounts, PostingSource, verify};
use stage::stages;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const EXPIRY: Duration = Duration::from_secs(80);

fn empty() -> LedgerAccount {
    let zero = MicroCredits::ZERO;
    let account = ledger_account::Model {
        id: Uuid::from_u128(99),
        kind: "user".to_owned(),
        balance: zero,
        held: zero,
        owed: zero,
        low_threshold: None,
        is_low: false,
        check_threshold: None,
        is_due: false,
        created_at: NOW,
    };
    LedgerAccount::new(account, Vec::new(), NOW)
}

/// Checks balance, held and owed amounts against the entries, and the balance against the grants.
fn check(book: &LedgerAccount) {
    let signed = |kinds: &[&str], inside: bool| -> i64 {
        let entries = book.entries.iter().filter(|entry| kinds.contains(&entry.kind.as_str()) == inside);
        entries.map(|entry| if entry.to_account == book.account.id { entry.amount.0 } else { -entry.amount.0 }).sum()
    };
    let account = &book.account;
    assert_eq!(account.balance.0, signed(&["hold", "release"], false), "{book:#?}");
    assert_eq!(account.held.0, -signed(&["hold", "release"], true), "{book:#?}");
    assert_eq!(account.owed.0, signed(&["owed", "owed_paid"], true), "{book:#?}");
    let granted: i64 = book.grants.iter().chain(&book.new_grants).map(|grant| grant.remaining.0).sum();
    assert_eq!(account.balance.0, granted, "{book:#?}");
    assert!(account.held.0 >= 0 && account.balance >= account.held && account.owed.0 >= 0, "{book:#?}");
    assert!(book.entries.iter().all(|entry| entry.amount.0 > 0));
}

#[derive(Clone, Debug)]
enum Deed {
    Buy(i64, bool),
    Give(i64, bool),
    Hold(i64),
    Settle(i64),
    TakeBack(i64),
    Return(i64),
    TakeAway(i64),
    Expire,
}

fn deed() -> impl Strategy<Value = Deed> {
    let amount = || 0..1_000_i64;
    prop_oneof![
        (amount(), any::<bool>()).prop_map(|(amount, expires)| Deed::Buy(amount, expires)),
        (amount(), any::<bool>()).prop_map(|(amount, expires)| Deed::Give(amount, expires)),
        amount().prop_map(Deed::Hold),
        amount().prop_map(Deed::Settle),
        amount().prop_map(Deed::TakeBack),
        amount().prop_map(Deed::Return),
        amount().prop_map(Deed::TakeAway),
        Just(Deed::Expire),
    ]
}

proptest! {
    #[test]
    fn account_adds_up_after_any_operations(deeds in proptest::collection::vec(deed(), 1..60)) {
        let mut book = empty();
        let mut holds: Vec<i64> = Vec::new();
        for (number, deed) in deeds.into_iter().enumerate() {
            let source = PostingSource::new("test", number);
            let at = |expires: bool| expires.then_some(NOW);
            match deed {
                Deed::Buy(amount, expires) => book.purchase(MicroCredits(amount), &source, at(expires)),
                Deed::Give(amount, expires) => book.grant(MicroCredits(amount), &source, at(expires), None),
                Deed::Hold(amount) if MicroCredits(amount) <= book.available() => {
                    book.hold(MicroCredits(amount));
                    book.post_holds(&source);
                    holds.push(amount);
                }
                Deed::Hold(_) => {}
                Deed::Settle(cost) => {
                    if let Some(held) = holds.pop() {
                        book.release_hold(MicroCredits(held));
                        book.post_holds(&source);
                    }
                    book.charge(MicroCredits(cost), &source);
                    book.pay_debts(&source);
                }
                Deed::TakeBack(amount) => book.claw_back(MicroCredits(amount), &source, EntryKind::Refund, "3"),
                Deed::Return(amount) => book.reverse_clawback(MicroCredits(amount), &source, EntryKind::RefundFailed),
                Deed::TakeAway(amount) => book.withdraw(MicroCredits(amount), &source, None),
                Deed::Expire => {
                    // Simulates that the account is stored and loaded again.
                    let new = std::mem::take(&mut book.new_grants);
                    book.grants.extend(new);
                    book.expire();
                }
            }
            check(&book);
            prop_assert_eq!(book.account.held.0, holds.iter().sum::<i64>());
        }
    }
}

#[test]
fn uses_soonest_expiry_first_and_keeps_held_credits() {
    let mut book = empty();
    book.purchase(MicroCredits(100), &PostingSource::new("payment", 1), None);
    book.grant(MicroCredits(50), &PostingSource::new("gift", 2), Some(NOW.plus(EXPIRY)), None);
    book.charge(MicroCredits(30), &PostingSource::new("usage", 3));
    let left: Vec<i64> = book.new_grants.iter().map(|grant| grant.remaining.0).collect();
    assert_eq!(left, [100, 20]);

    let mut book = empty();
    book.grant(MicroCredits(50), &PostingSource::new("gift", 1), Some(NOW), None);
    book.grants = std::mem::take(&mut book.new_grants);
    book.hold(MicroCredits(20));
    book.post_holds(&PostingSource::new("hold", 2));
    book.expire();
    assert_eq!((book.account.balance, book.available()), (MicroCredits(20), MicroCredits::ZERO));
    check(&book);
}

#[test]
fn clawback_beyond_balance_becomes_debt_paid_by_next_credits() {
    let mut book = empty();
    book.purchase(MicroCredits(100), &PostingSource::new("payment", 1), None);
    book.charge(MicroCredits(70), &PostingSource::new("usage", 2));
    book.claw_back(MicroCredits(100), &PostingSource::new("refund", 3), EntryKind::Refund, "1");
    assert_eq!((book.account.balance, book.account.owed), (MicroCredits::ZERO, MicroCredits(70)));
    book.purchase(MicroCredits(100), &PostingSource::new("payment", 4), None);
    assert_eq!((book.account.balance, book.account.owed), (MicroCredits(30), MicroCredits::ZERO));
    check(&book);
}

async fn account(db: &Database, credits: i64) -> Uuid {
    let id = Uuid::now_v7();
    let tx = db.begin().await.unwrap();
    let mut books = LockedAccounts::open(&tx, AccountHolder::Person(UserId(id)), NOW).await.unwrap();
    books.single_account().unwrap().purchase(MicroCredits(credits), &PostingSource::new("payment", id), None);
    books.store(&tx).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn adds_up(db: &Database) {
    let (_, differences) = verify(db).await.unwrap();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[tokio::test]
async fn rejects_duplicate_postings_and_detects_wrong_balances() {
    for stage in stages().await {
        let db = stage.database().await;
        let id = account(&db, 100).await;
        let tx = db.begin().await.unwrap();
        let mut books = LockedAccounts::open(&tx, AccountHolder::Person(UserId(id)), NOW).await.unwrap();
        books.single_account().unwrap().purchase(MicroCredits(100), &PostingSource::new("payment", id), None);
        assert!(books.store(&tx).await.is_err());
        drop(tx);
        adds_up(&db).await;
        let mut row = rows::account(db.reader(), id).await.unwrap().unwrap();
        row.balance = MicroCredits(101);
        rows::store(db.writer(), &[&row]).await.unwrap();
        let (_, differences) = verify(&db).await.unwrap();
        assert_eq!((differences.len(), differences[0].id, differences[0].booked), (1, id, 100));
    }
}
