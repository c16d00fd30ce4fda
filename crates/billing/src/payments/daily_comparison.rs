//! Daily comparison of the last two days' payments with the gateways' records.
//!
//! A payment that is paid at the gateway but not here is applied. All other differences are recorded once for
//! administrators, and closed automatically when a later comparison finds both sides equal.

use std::{collections::HashMap, time::Duration};

use ::payment::{Currency, Gateway, ListedPayment, Money, PaymentListing, RemoteState, Snapshot, Stage};
use appcore::{
    AppError, Code, PaymentDifferenceId, Timestamp,
    auth::Principal,
    page::{Page, PageRequest},
    view::{DifferenceState, PaymentDifference},
};
use dbcontext::{
    constraint::app_error,
    entity::{payment, payment_difference},
    query::{payments as rows, reconciliation},
};
use futures_util::future::join_all;
use platform::audit::{self, Action, NewAuditEntry};
use uuid::Uuid;

use super::{apply, known_payment, reconciler, request_error, stage};
use crate::BillingService;

/// Milliseconds per day.
const DAY: i64 = 86_400_000;
/// Lease of an instance for a comparison. After it has expired, another instance starts the comparison again.
const LEASE: Duration = Duration::from_secs(900);
/// Margin at the edges of the compared period: the gateway may date a payment outside of it.
const EDGE_MARGIN: Duration = Duration::from_secs(3_600);
/// Maximum number of payments read per query.
const QUERY_BATCH: u64 = 200;
/// Maximum number of concurrent fetches from a gateway that can't list payments.
const MAX_CONCURRENT: usize = 8;
/// Consecutive failures after which the comparison is postponed.
const MAX_CONSECUTIVE_FAILURES: usize = 5;
/// Maximum number of payments compared.
const MAX_PAYMENTS: u64 = 20_000;

/// Kind of a difference.
#[derive(Clone, Copy, Debug)]
enum DifferenceKind {
    /// The gateway took money for a payment that is unknown here.
    UnknownHere,
    /// Paid at the gateway only.
    NotPaidHere,
    /// Paid here only.
    NotPaidThere,
    Amount,
    /// The gateway has refunded more than is recorded here.
    Refund,
}

impl DifferenceKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownHere => "unknown_here",
            Self::NotPaidHere => "not_paid_here",
            Self::NotPaidThere => "not_paid_there",
            Self::Amount => "amount",
            Self::Refund => "refund",
        }
    }
}

/// Runs the comparisons due today. Every instance tries; each gateway is compared by one of them, independently of the
/// others.
pub(super) async fn compare_all(service: &BillingService, now: Timestamp) -> Result<(), AppError> {
    let gateways = service.payments.gateways.values().filter(|gateway| gateway.demo().is_none());
    let looks: Vec<_> = gateways.map(|gateway| compare_gateway(service, gateway.as_ref(), now)).collect();
    join_all(looks).await.into_iter().collect()
}

async fn compare_gateway(service: &BillingService, gateway: &dyn Gateway, now: Timestamp) -> Result<(), AppError> {
    let (name, day) = (gateway.name().as_str(), Timestamp(now.0.div_euclid(DAY) * DAY));
    if !reconciliation::claim(service.db.writer(), name, day, now, now.plus(LEASE)).await? {
        return Ok(());
    }
    match compare(service, gateway, day).await {
        Ok(()) => reconciliation::finish(service.db.writer(), name, day, service.clock.now()).await?,
        Err(error) => tracing::warn!(%error, gateway = name, "failed to compare payments"),
    }
    Ok(())
}

/// Compares the two days before `day`.
async fn compare(service: &BillingService, gateway: &dyn Gateway, day: Timestamp) -> Result<(), AppError> {
    let (from, until) = (Timestamp(day.0 - 2 * DAY), day);
    let mut comparison =
        Comparison { service, gateway, now: service.clock.now(), equal: Vec::new(), is_whole: true, failed_count: 0 };
    let compared = match gateway.list(from, until).await.map_err(request_error)? {
        PaymentListing::Charges(listed) => comparison.compare_list(listed, from, until).await,
        PaymentListing::Unsupported => comparison.compare_each(from, until).await,
        PaymentListing::Denied => {
            let name = gateway.name().as_str();
            tracing::warn!(gateway = name, "gateway denies its list of charges, unknown charges can't be found");
            comparison.compare_each(from, until).await
        }
    };
    for part in comparison.equal.chunks(QUERY_BATCH as usize) {
        reconciliation::resolve(service.db.writer(), gateway.name().as_str(), part.to_vec(), comparison.now).await?;
    }
    compared?;
    if comparison.is_whole {
        return Ok(());
    }
    // The error makes the comparison run again; differences recorded so far are not recorded twice.
    Err(AppError::unavailable(anyhow::anyhow!("some payments could not be compared")))
}

async fn fetch(service: &BillingService, gateway: &dyn Gateway, row: &payment::Model) -> Result<Snapshot, AppError> {
    gateway.fetch(&known_payment(service, row)?).await.map_err(request_error)
}

struct Comparison<'a> {
    service: &'a BillingService,
    gateway: &'a dyn Gateway,
    now: Timestamp,
    /// Ids of the payments that are equal on both sides.
    equal: Vec<Uuid>,
    /// True if every reported payment could be compared.
    is_whole: bool,
    /// Number of consecutive failures.
    failed_count: usize,
}

impl Comparison<'_> {
    async fn compare_list(
        &mut self,
        listed: Vec<ListedPayment>,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<(), AppError> {
        let (service, name) = (self.service, self.gateway.name().as_str());
        for part in listed.chunks(QUERY_BATCH as usize) {
            let ids = part.iter().filter_map(|one| one.payment_id).collect();
            let charges = part.iter().map(|one| one.charge.clone()).collect();
            let found = reconciliation::payments(service.db.writer(), name, ids, charges).await?;
            let by_id: HashMap<Uuid, &payment::Model> = found.iter().map(|row| (row.id, row)).collect();
            let by_charge: HashMap<&str, &payment::Model> =
                found.iter().filter_map(|row| Some((row.charge.as_deref()?, row))).collect();
            for one in part {
                let ours = one.payment_id.and_then(|id| by_id.get(&id)).or_else(|| by_charge.get(one.charge.as_str()));
                let compared = match ours {
                    Some(row) => self.compare_listed(row, one).await,
                    None => {
                        let theirs = Some((one.money.amount, one.money.currency));
                        self.record_difference(DifferenceKind::UnknownHere, &one.charge, None, None, theirs, false)
                            .await
                    }
                };
                self.record_result(&one.charge, compared)?;
            }
        }
        let told: std::collections::HashSet<&str> = listed.iter().map(|one| one.charge.as_str()).collect();
        let (from, until) = (from.plus(EDGE_MARGIN), until.minus(EDGE_MARGIN));
        for row in reconciliation::paid_between(service.db.writer(), name, from, until, MAX_PAYMENTS).await? {
            if row.charge.as_deref().is_some_and(|charge| !told.contains(charge)) {
                let (ours, subject) = (Some(row.amount), row.id.to_string());
                let compared =
                    self.record_difference(DifferenceKind::NotPaidThere, &subject, Some(&row), ours, None, false).await;
                self.record_result(&subject, compared)?;
            }
        }
        Ok(())
    }

    /// Records the result of one comparison. A failure doesn't stop the others, until there are too many in a row.
    fn record_result(&mut self, subject: &str, compared: Result<(), AppError>) -> Result<(), AppError> {
        let Err(error) = compared else {
            self.failed_count = 0;
            return Ok(());
        };
        self.is_whole = false;
        self.skip(subject, &error)
    }

    fn skip(&mut self, subject: &str, error: &AppError) -> Result<(), AppError> {
        tracing::warn!(%error, gateway = self.gateway.name().as_str(), subject, "failed to compare payment");
        self.failed_count += 1;
        if self.failed_count == MAX_CONSECUTIVE_FAILURES {
            return Err(AppError::unavailable(anyhow::anyhow!("too many consecutive failures")));
        }
        Ok(())
    }

    async fn compare_listed(&mut self, row: &payment::Model, one: &ListedPayment) -> Result<(), AppError> {
        if !self.is_paid(row, one.money.amount, one.money.currency).await? {
            return Ok(());
        }
        if stage(row)? == Stage::Paid && one.refunded > row.refunded {
            let theirs = Some((one.refunded, one.money.currency));
            let subject = row.id.to_string();
            return self
                .record_difference(DifferenceKind::Refund, &subject, Some(row), Some(row.refunded), theirs, false)
                .await;
        }
        self.equal.push(row.id);
        Ok(())
    }

    /// Compares one payment after the other, for a gateway that can't list payments.
    async fn compare_each(&mut self, from: Timestamp, until: Timestamp) -> Result<(), AppError> {
        let (service, name) = (self.service, self.gateway.name().as_str());
        let begun = reconciliation::created_between(service.db.writer(), name, from, until, MAX_PAYMENTS).await?;
        for part in begun.chunks(MAX_CONCURRENT) {
            let asked: Vec<_> = part.iter().map(|row| fetch(service, self.gateway, row)).collect();
            for (row, found) in part.iter().zip(join_all(asked).await) {
                let subject = row.id.to_string();
                match found {
                    Ok(found) => {
                        let compared = self.compare_fetched(row, found.remote).await;
                        self.record_result(&subject, compared)?;
                    }
                    // The payment is compared again tomorrow.
                    Err(error) => self.skip(&subject, &error)?,
                }
            }
        }
        Ok(())
    }

    async fn compare_fetched(&mut self, row: &payment::Model, remote: RemoteState) -> Result<(), AppError> {
        match remote {
            RemoteState::Paid(money) => {
                if self.is_paid(row, money.amount, money.currency).await? {
                    self.equal.push(row.id);
                }
            }
            _ if stage(row)? == Stage::Paid => {
                let ours = Some(row.amount);
                self.record_difference(DifferenceKind::NotPaidThere, &row.id.to_string(), Some(row), ours, None, false)
                    .await?;
            }
            _ => self.equal.push(row.id),
        }
        Ok(())
    }

    /// True if the payment is paid here with the amount that the gateway reports. A missing payment state is applied
    /// first.
    async fn is_paid(&mut self, row: &payment::Model, amount: i64, currency: Currency) -> Result<bool, AppError> {
        let (theirs, subject) = (Some((amount, currency)), row.id.to_string());
        if apply::is_refunded_rejection(self.service.db.writer(), row, Money::new(amount, currency)).await? {
            return Ok(true);
        }
        if stage(row)? != Stage::Paid {
            if row.quarantine.is_none() {
                reconciler::fetch_and_apply(self.service, row.clone()).await?;
            }
            let after = rows::by_id(self.service.db.writer(), row.id).await?.ok_or(Code::NotFound)?;
            if apply::is_refunded_rejection(self.service.db.writer(), &after, Money::new(amount, currency)).await? {
                return Ok(true);
            }
            let is_healed = stage(&after)? == Stage::Paid;
            self.record_difference(DifferenceKind::NotPaidHere, &subject, Some(row), None, theirs, is_healed).await?;
            return Ok(is_healed);
        }
        if (row.amount, row.currency.as_str()) != (amount, currency.code()) {
            self.record_difference(DifferenceKind::Amount, &subject, Some(row), Some(row.amount), theirs, false)
                .await?;
            return Ok(false);
        }
        Ok(true)
    }

    async fn record_difference(
        &self,
        kind: DifferenceKind,
        subject: &str,
        row: Option<&payment::Model>,
        ours: Option<i64>,
        theirs: Option<(i64, Currency)>,
        is_healed: bool,
    ) -> Result<(), AppError> {
        let name = self.gateway.name().as_str();
        tracing::error!(
            gateway = name,
            kind = kind.as_str(),
            subject,
            is_healed,
            "payment differs from the gateway's record"
        );
        let state = if is_healed { DifferenceState::Healed } else { DifferenceState::Open };
        let currency =
            theirs.map(|(_, currency)| currency.code().to_owned()).or_else(|| row.map(|row| row.currency.clone()));
        let new = payment_difference::Model {
            id: PaymentDifferenceId::new(),
            gateway: name.to_owned(),
            kind: kind.as_str().to_owned(),
            subject: subject.to_owned(),
            payment_id: row.map(|row| row.id),
            recorded_amount: ours,
            reported_amount: theirs.map(|(amount, _)| amount),
            currency,
            state,
            note: None,
            found_at: self.now,
            closed_at: is_healed.then_some(self.now),
        };
        reconciliation::insert(self.service.db.writer(), new).await
    }
}

/// Lists the differences found, newest first.
pub async fn differences(
    service: &BillingService,
    state: Option<DifferenceState>,
    page: PageRequest,
) -> Result<Page<PaymentDifference>, AppError> {
    let found = reconciliation::list(service.db.reader(), state, page).await?;
    let items = found.0.into_iter().map(view).collect();
    Ok(Page::new(items, page, found.1))
}

/// Closes a difference that an administrator has resolved.
pub async fn close(
    service: &BillingService,
    by: &Principal,
    id: PaymentDifferenceId,
    note: String,
) -> Result<PaymentDifference, AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut row = reconciliation::lock(&tx, id).await?.ok_or(Code::NotFound)?;
    if row.state != DifferenceState::Open {
        return Err(super::subscriptions::wrong_state("This is already closed."));
    }
    row.state = DifferenceState::Closed;
    row.note = Some(note);
    row.closed_at = Some(service.clock.now());
    reconciliation::store(&tx, row.clone()).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::PaymentDifferenceClosed, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(view(row))
}

fn view(row: payment_difference::Model) -> PaymentDifference {
    PaymentDifference {
        id: row.id.0,
        gateway: row.gateway,
        kind: row.kind,
        payment_id: row.payment_id,
        reference: row.subject,
        local: row.recorded_amount,
        remote: row.reported_amount,
        currency: row.currency,
        state: row.state,
        found_at: row.found_at,
        closed_at: row.closed_at,
        note: row.note,
    }
}
