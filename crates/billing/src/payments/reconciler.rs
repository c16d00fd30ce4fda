//! Asking gateways about what they haven't told.
//!
//! Each gateway is looked at by itself, so that one that doesn't answer delays nothing of the others; and so are what is saved, subscriptions and the daily
//! [comparison](compare).

use std::{sync::Arc, time::Duration};

use ::payment::{GatewayName, PaymentUpdate, RemoteState, Snapshot, Stage};
use appcore::{AppError, Code, Timestamp};
use dbcontext::{constraint::app_error, entity::payment, query::payments as rows};
use futures_util::{
    future::join_all,
    stream::{self, StreamExt as _},
};
use jobs::caught;
use uuid::Uuid;

use super::{apply, daily_comparison, failed, gateway_of, known, refund, setups, stage, subscriptions};
use crate::BillingService;

/// Payments of a gateway that one look asks about, and those with waiting events that it finds at once.
const MOST: u64 = 100;
/// How many of them are asked about at the same time.
pub(super) const AT_ONCE: usize = 16;
const DAY: Duration = Duration::from_secs(86_400);
/// How long an event waits for a charge that isn't known. Gateways try for three days to tell of what was paid.
const FOREIGN: Duration = Duration::from_secs(7 * 86_400);
/// Old events that one look removes.
const OLD: u64 = 5_000;
/// How often the switches are read anew, should the bus have said nothing.
pub(super) const READ_AGAIN: Duration = Duration::from_secs(4);
/// How long after its end a payment is asked about: a payment that was made in the last moment may be told late.
const AFTERTHOUGHT: Duration = Duration::from_secs(3_600);

/// Looks for what is due, as long as the program runs. Every instance looks; each payment is asked about by one.
pub(crate) async fn keep(service: Arc<BillingService>) {
    let service = service.as_ref();
    let gateways = GatewayName::all().map(|name| every(service, name.as_str(), move || look(service, name)));
    tokio::join!(
        join_all(gateways),
        every(service, "events", move || look_at_events(service)),
        every(service, "setups", move || setups::look(service, service.clock.now())),
        every(service, "subscriptions", move || subscriptions::look(service, service.clock.now())),
        every(service, "comparison", move || daily_comparison::look(service, service.clock.now())),
    );
}

async fn every<F: Future<Output = Result<(), AppError>>>(service: &BillingService, what: &str, look: impl Fn() -> F) {
    let mut tick = tokio::time::interval(service.config.payment.reconcile_every);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = service.stopping.cancelled() => return,
        }
        if let Err(error) = caught(look()).await {
            tracing::warn!(%error, what, "payments could not be reconciled");
        }
    }
}

async fn look(service: &BillingService, gateway: GatewayName) -> Result<(), AppError> {
    let payments = look_at_payments(service, gateway).await;
    let refunds = look_at_refunds(service, gateway).await;
    payments.and(refunds)
}

async fn look_at_payments(service: &BillingService, gateway: GatewayName) -> Result<(), AppError> {
    let now = service.clock.now();
    let next = now.plus(service.config.payment.reconcile_after);
    // Some at a time: a gateway that is away lets each of them wait.
    let due = rows::claim_due(service.db.writer(), gateway.as_str(), now, next, MOST).await?;
    stream::iter(due)
        .for_each_concurrent(AT_ONCE, |id| async move {
            if let Err(error) = reconcile(service, id).await {
                tracing::warn!(%error, payment = %id, "a payment could not be reconciled");
            }
        })
        .await;
    Ok(())
}

async fn look_at_refunds(service: &BillingService, gateway: GatewayName) -> Result<(), AppError> {
    let now = service.clock.now();
    let next = now.plus(service.config.payment.reconcile_after);
    let due = rows::claim_due_refunds(service.db.writer(), gateway.as_str(), now, next, MOST).await?;
    stream::iter(due)
        .for_each_concurrent(AT_ONCE, |id| async move {
            if let Err(error) = refund::complete(service, id).await {
                tracing::warn!(%error, refund = %id, "a refund could not be completed");
            }
        })
        .await;
    Ok(())
}

/// Applies events that have waited for what is there now, and forgets those that nothing comes for.
async fn look_at_events(service: &BillingService) -> Result<(), AppError> {
    let now = service.clock.now();
    let applied = apply_awaited(service).await;
    let forgotten = forget_foreign(service, now).await;
    let removed = match service.config.payment.event_retention_days {
        0 => Ok(()),
        days => rows::remove_events(service.db.writer(), now.minus(DAY * days), OLD).await,
    };
    applied.and(forgotten).and(removed)
}

async fn apply_awaited(service: &BillingService) -> Result<(), AppError> {
    let mut after = Uuid::nil();
    loop {
        let part = rows::awaited(service.db.reader(), after, MOST).await?;
        let Some(last) = part.last() else { return Ok(()) };
        after = *last;
        for id in part {
            if let Err(error) = apply_waiting(service, id).await {
                tracing::error!(%error, payment = %id, "what has waited for a payment could not be applied");
            }
        }
    }
}

async fn forget_foreign(service: &BillingService, now: Timestamp) -> Result<(), AppError> {
    let forgotten = rows::forget_foreign(service.db.writer(), now, now.minus(FOREIGN)).await?;
    if forgotten > 0 {
        tracing::info!(forgotten, "events about charges that aren't ours wait no longer");
    }
    Ok(())
}

async fn apply_waiting(service: &BillingService, id: Uuid) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    let Some(mut row) = rows::lock(&tx, id).await? else { return Ok(()) };
    let before = row.clone();
    apply::waiting(service, &tx, &mut row, service.clock.now()).await?;
    rows::store(&tx, row.clone()).await?;
    tx.commit().await.map_err(app_error)?;
    apply::tell(service, &before, &row);
    Ok(())
}

/// Asks the gateway about a payment, whatever is known of it.
pub async fn reconcile(service: &BillingService, id: Uuid) -> Result<(), AppError> {
    let row = rows::by_id(service.db.writer(), id).await?.ok_or(Code::NotFound)?;
    ask(service, row).await
}

/// Asks the gateway about a payment that has been read already.
pub(super) async fn ask(service: &BillingService, row: payment::Model) -> Result<(), AppError> {
    let now = service.clock.now();
    // Nobody was told where to pay.
    let news = if row.reference.is_none() {
        (now >= row.expires_at).then_some(PaymentUpdate::Expired)
    } else {
        let gateway = gateway_of(service, &row)?;
        let found = gateway.fetch(&known(service, &row)?).await.map_err(failed)?;
        match found.remote {
            RemoteState::Approved => capture(service, &row).await?,
            _ => news_of(found),
        }
    };
    apply_news(service, row.id, news.as_ref()).await
}

/// Applies what a gateway has answered, under the payment's lock.
pub(super) async fn apply_news(service: &BillingService, id: Uuid, news: Option<&PaymentUpdate>) -> Result<(), AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut locked = rows::lock(&tx, id).await?.ok_or(Code::NotFound)?;
    let before = locked.clone();
    if let Some(news) = news {
        apply::news(service, &tx, &mut locked, news, now).await?;
        apply::waiting(service, &tx, &mut locked, now).await?;
    }
    if stage(&locked)? == Stage::Pending && now >= locked.expires_at.plus(AFTERTHOUGHT) {
        // Should it be paid all the same, it counts.
        apply::step(&mut locked, Stage::Expired)?;
    }
    if locked != before {
        rows::store(&tx, locked.clone()).await?;
    }
    tx.commit().await.map_err(app_error)?;
    apply::tell(service, &before, &locked);
    Ok(())
}

/// Takes what a payer has agreed to.
pub(super) async fn capture(service: &BillingService, row: &payment::Model) -> Result<Option<PaymentUpdate>, AppError> {
    let gateway = gateway_of(service, row)?;
    Ok(news_of(gateway.capture(&known(service, row)?).await.map_err(failed)?))
}

fn news_of(snapshot: Snapshot) -> Option<PaymentUpdate> {
    match snapshot.remote {
        RemoteState::Open | RemoteState::Approved => None,
        RemoteState::Paid(money) => Some(PaymentUpdate::Paid { money, charge: snapshot.charge }),
        RemoteState::Failed => Some(PaymentUpdate::Failed),
        RemoteState::Expired => Some(PaymentUpdate::Expired),
    }
}
