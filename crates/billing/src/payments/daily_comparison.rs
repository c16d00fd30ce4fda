//! Once a day: what the gateways say of the last two days beside what stands here.
//!
//! What was paid and isn't paid here is healed, because the rule is clear: it counts. Everything else is written down for administrators, once, and
//! closed by itself when a later comparison finds the same on both sides.

use std::{collections::HashMap, time::Duration};

use ::payment::{Currency, Gateway, ListedPayment, PaymentListing, Money, RemoteState, Snapshot, Stage};
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

use super::{apply, failed, known, reconciler, stage};
use crate::BillingService;

/// In milliseconds.
const DAY: i64 = 86_400_000;
/// How long one instance has for a comparison before another one begins it anew.
const LEASE: Duration = Duration::from_secs(900);
/// What was paid so close to the edges of the time that is looked at may be on the other side of it at the gateway.
const EDGE: Duration = Duration::from_secs(3_600);
/// Payments that are read in one go.
const PART: u64 = 200;
/// Payments that are asked about at the same time, where a gateway has no list.
const AT_ONCE: usize = 8;
/// After so many in a row that could not be compared the comparison is left for later.
const IN_VAIN: usize = 5;
/// The most payments of two days that are compared.
const MOST: u64 = 20_000;

/// What doesn't fit.
#[derive(Clone, Copy, Debug)]
enum DifferenceKind {
    /// The gateway took money for something that isn't known here.
    UnknownHere,
    /// The gateway says that it is paid.
    NotPaidHere,
    /// Only here it is paid.
    NotPaidThere,
    Amount,
    /// More went back at the gateway than here.
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

/// Compares what hasn't been compared today. Every instance looks; each gateway is compared by one, and none waits for another.
pub(super) async fn look(service: &BillingService, now: Timestamp) -> Result<(), AppError> {
    let gateways = service.payments.gateways.values().filter(|gateway| gateway.demo().is_none());
    let looks: Vec<_> = gateways.map(|gateway| look_at(service, gateway.as_ref(), now)).collect();
    join_all(looks).await.into_iter().collect()
}

async fn look_at(service: &BillingService, gateway: &dyn Gateway, now: Timestamp) -> Result<(), AppError> {
    let (name, day) = (gateway.name().as_str(), Timestamp(now.0.div_euclid(DAY) * DAY));
    if !reconciliation::claim(service.db.writer(), name, day, now, now.plus(LEASE)).await? {
        return Ok(());
    }
    match compare(service, gateway, day).await {
        Ok(()) => reconciliation::end(service.db.writer(), name, day, service.clock.now()).await?,
        Err(error) => tracing::warn!(%error, gateway = name, "the last days could not be compared"),
    }
    Ok(())
}

/// Compares the two days before this one.
async fn compare(service: &BillingService, gateway: &dyn Gateway, day: Timestamp) -> Result<(), AppError> {
    let (from, until) = (Timestamp(day.0 - 2 * DAY), day);
    let mut comparison =
        Comparison { service, gateway, now: service.clock.now(), equal: Vec::new(), is_whole: true, in_vain: 0 };
    let compared = match gateway.list(from, until).await.map_err(failed)? {
        PaymentListing::Charges(listed) => comparison.with_list(listed, from, until).await,
        PaymentListing::Unsupported => comparison.one_by_one(from, until).await,
        PaymentListing::Denied => {
            let name = gateway.name().as_str();
            tracing::warn!(
                gateway = name,
                "it doesn't list what it took: what it took for something unknown isn't found"
            );
            comparison.one_by_one(from, until).await
        }
    };
    for part in comparison.equal.chunks(PART as usize) {
        reconciliation::heal(service.db.writer(), gateway.name().as_str(), part.to_vec(), comparison.now).await?;
    }
    compared?;
    if comparison.is_whole {
        return Ok(());
    }
    // What is written down already is not written down again.
    Err(AppError::unavailable(anyhow::anyhow!("some of it could not be compared")))
}

async fn fetch(service: &BillingService, gateway: &dyn Gateway, row: &payment::Model) -> Result<Snapshot, AppError> {
    gateway.fetch(&known(service, row)?).await.map_err(failed)
}

struct Comparison<'a> {
    service: &'a BillingService,
    gateway: &'a dyn Gateway,
    now: Timestamp,
    /// Payments that are the same on both sides.
    equal: Vec<Uuid>,
    /// What the gateway has told of could be compared.
    is_whole: bool,
    /// How many in a row could not be compared.
    in_vain: usize,
}

impl Comparison<'_> {
    async fn with_list(&mut self, listed: Vec<ListedPayment>, from: Timestamp, until: Timestamp) -> Result<(), AppError> {
        let (service, name) = (self.service, self.gateway.name().as_str());
        for part in listed.chunks(PART as usize) {
            let ids = part.iter().filter_map(|one| one.payment_id).collect();
            let charges = part.iter().map(|one| one.charge.clone()).collect();
            let found = reconciliation::payments(service.db.writer(), name, ids, charges).await?;
            let by_id: HashMap<Uuid, &payment::Model> = found.iter().map(|row| (row.id, row)).collect();
            let by_charge: HashMap<&str, &payment::Model> =
                found.iter().filter_map(|row| Some((row.charge.as_deref()?, row))).collect();
            for one in part {
                let ours = one.payment_id.and_then(|id| by_id.get(&id)).or_else(|| by_charge.get(one.charge.as_str()));
                let compared = match ours {
                    Some(row) => self.listed(row, one).await,
                    None => {
                        let theirs = Some((one.money.amount, one.money.currency));
                        self.differs(DifferenceKind::UnknownHere, &one.charge, None, None, theirs, false).await
                    }
                };
                self.note(&one.charge, compared)?;
            }
        }
        let told: std::collections::HashSet<&str> = listed.iter().map(|one| one.charge.as_str()).collect();
        let (from, until) = (from.plus(EDGE), until.minus(EDGE));
        for row in reconciliation::paid_between(service.db.writer(), name, from, until, MOST).await? {
            if row.charge.as_deref().is_some_and(|charge| !told.contains(charge)) {
                let (ours, subject) = (Some(row.amount), row.id.to_string());
                let compared = self.differs(DifferenceKind::NotPaidThere, &subject, Some(&row), ours, None, false).await;
                self.note(&subject, compared)?;
            }
        }
        Ok(())
    }

    /// Takes note of what became of one of them: where it can't be compared, the others are.
    fn note(&mut self, subject: &str, compared: Result<(), AppError>) -> Result<(), AppError> {
        let Err(error) = compared else {
            self.in_vain = 0;
            return Ok(());
        };
        self.is_whole = false;
        self.skip(subject, &error)
    }

    fn skip(&mut self, subject: &str, error: &AppError) -> Result<(), AppError> {
        tracing::warn!(%error, gateway = self.gateway.name().as_str(), subject, "a payment could not be compared");
        self.in_vain += 1;
        if self.in_vain == IN_VAIN {
            return Err(AppError::unavailable(anyhow::anyhow!("nothing of it can be compared")));
        }
        Ok(())
    }

    async fn listed(&mut self, row: &payment::Model, one: &ListedPayment) -> Result<(), AppError> {
        if !self.is_paid(row, one.money.amount, one.money.currency).await? {
            return Ok(());
        }
        if stage(row)? == Stage::Paid && one.refunded > row.refunded {
            let theirs = Some((one.refunded, one.money.currency));
            let subject = row.id.to_string();
            return self.differs(DifferenceKind::Refund, &subject, Some(row), Some(row.refunded), theirs, false).await;
        }
        self.equal.push(row.id);
        Ok(())
    }

    /// Where the gateway can't list what was paid.
    async fn one_by_one(&mut self, from: Timestamp, until: Timestamp) -> Result<(), AppError> {
        let (service, name) = (self.service, self.gateway.name().as_str());
        let begun = reconciliation::begun_between(service.db.writer(), name, from, until, MOST).await?;
        for part in begun.chunks(AT_ONCE) {
            let asked: Vec<_> = part.iter().map(|row| fetch(service, self.gateway, row)).collect();
            for (row, found) in part.iter().zip(join_all(asked).await) {
                let subject = row.id.to_string();
                match found {
                    Ok(found) => {
                        let compared = self.one(row, found.remote).await;
                        self.note(&subject, compared)?;
                    }
                    // It is asked about again tomorrow.
                    Err(error) => self.skip(&subject, &error)?,
                }
            }
        }
        Ok(())
    }

    async fn one(&mut self, row: &payment::Model, remote: RemoteState) -> Result<(), AppError> {
        match remote {
            RemoteState::Paid(money) => {
                if self.is_paid(row, money.amount, money.currency).await? {
                    self.equal.push(row.id);
                }
            }
            _ if stage(row)? == Stage::Paid => {
                let ours = Some(row.amount);
                self.differs(DifferenceKind::NotPaidThere, &row.id.to_string(), Some(row), ours, None, false).await?;
            }
            _ => self.equal.push(row.id),
        }
        Ok(())
    }

    /// Whether it is paid here as the gateway says. What can be healed is.
    async fn is_paid(&mut self, row: &payment::Model, amount: i64, currency: Currency) -> Result<bool, AppError> {
        let (theirs, subject) = (Some((amount, currency)), row.id.to_string());
        if apply::is_given_back(self.service.db.writer(), row, Money::new(amount, currency)).await? {
            return Ok(true);
        }
        if stage(row)? != Stage::Paid {
            if row.quarantine.is_none() {
                reconciler::ask(self.service, row.clone()).await?;
            }
            let after = rows::by_id(self.service.db.writer(), row.id).await?.ok_or(Code::NotFound)?;
            if apply::is_given_back(self.service.db.writer(), &after, Money::new(amount, currency)).await? {
                return Ok(true);
            }
            let is_healed = stage(&after)? == Stage::Paid;
            self.differs(DifferenceKind::NotPaidHere, &subject, Some(row), None, theirs, is_healed).await?;
            return Ok(is_healed);
        }
        if (row.amount, row.currency.as_str()) != (amount, currency.code()) {
            self.differs(DifferenceKind::Amount, &subject, Some(row), Some(row.amount), theirs, false).await?;
            return Ok(false);
        }
        Ok(true)
    }

    async fn differs(
        &self,
        kind: DifferenceKind,
        subject: &str,
        row: Option<&payment::Model>,
        ours: Option<i64>,
        theirs: Option<(i64, Currency)>,
        is_healed: bool,
    ) -> Result<(), AppError> {
        let name = self.gateway.name().as_str();
        tracing::error!(gateway = name, kind = kind.as_str(), subject, is_healed, "a gateway and the ledger differ");
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
            state: state.as_str().to_owned(),
            note: None,
            found_at: self.now,
            closed_at: is_healed.then_some(self.now),
        };
        reconciliation::insert(self.service.db.writer(), new).await
    }
}

/// What was found, the newest first.
pub async fn differences(
    service: &BillingService,
    state: Option<DifferenceState>,
    page: PageRequest,
) -> Result<Page<PaymentDifference>, AppError> {
    let found = reconciliation::list(service.db.reader(), state.map(DifferenceState::as_str), page).await?;
    let items = found.0.into_iter().map(view).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::new(items, page, found.1))
}

/// Says that an administrator has seen to a difference.
pub async fn close(
    service: &BillingService,
    by: &Principal,
    id: PaymentDifferenceId,
    note: String,
) -> Result<PaymentDifference, AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut row = reconciliation::lock(&tx, id).await?.ok_or(Code::NotFound)?;
    if row.state != DifferenceState::Open.as_str() {
        return Err(super::subscriptions::wrong_state("This has been closed already."));
    }
    row.state = DifferenceState::Closed.as_str().to_owned();
    row.note = Some(note);
    row.closed_at = Some(service.clock.now());
    reconciliation::store(&tx, row.clone()).await?;
    audit::record(&tx, NewAuditEntry::by(by, Action::PaymentDifferenceClosed, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    view(row)
}

fn view(row: payment_difference::Model) -> Result<PaymentDifference, AppError> {
    Ok(PaymentDifference {
        id: row.id.0,
        gateway: row.gateway,
        kind: row.kind,
        payment_id: row.payment_id,
        reference: row.subject,
        local: row.recorded_amount,
        remote: row.reported_amount,
        currency: row.currency,
        state: row.state.parse().map_err(AppError::internal)?,
        found_at: row.found_at,
        closed_at: row.closed_at,
        note: row.note,
    })
}
