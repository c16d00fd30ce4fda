//! Reconciliation: queries the gateways about payments and refunds without an event.
//!
//! Each gateway has its own task, so that one that doesn't answer doesn't delay the others. Setups of payment methods,
//! subscriptions and the [daily comparison](daily_comparison) have their own tasks, too.

use std::{sync::Arc, time::Duration};

use ::payment::{GatewayName, PaymentUpdate, RemoteState, Snapshot, Stage};
use appcore::{AppError, Code, Timestamp};
use dbcontext::{constraint::app_error, entity::payment, query::payments as rows};
use futures_util::{
    future::join_all,
    stream::{self, StreamExt as _},
};
use jobs::catch_panic;
use uuid::Uuid;

use super::{apply, daily_comparison, gateway_of, known_payment, refund, request_error, setups, stage, subscriptions};
use crate::BillingService;

/// Maximum number of payments of a gateway that a sweep claims, and of payments with deferred events that a query
/// reads.
const SWEEP_BATCH: u64 = 100;
/// Maximum number of concurrent requests per sweep.
pub(super) const MAX_CONCURRENT: usize = 16;
const DAY: Duration = Duration::from_secs(86_400);
/// Time that an event waits for an unknown charge. Gateways retry their events for three days.
const UNKNOWN_CHARGE_TTL: Duration = Duration::from_secs(7 * 86_400);
/// Maximum number of old events removed per sweep.
const CLEANUP_BATCH: u64 = 5_000;
/// Interval at which the gateway switches are reloaded, in case the bus message was lost.
pub(super) const RELOAD_INTERVAL: Duration = Duration::from_secs(4);
/// Time after a payment's expiry until it is closed: a payment made at the last moment may be reported late.
const EXPIRY_MARGIN: Duration = Duration::from_secs(3_600);

/// Runs the reconciliation tasks until shutdown. Every instance runs them; each payment is claimed by one.
pub(crate) async fn run_reconciliation(service: Arc<BillingService>) {
    let service = service.as_ref();
    let gateways =
        GatewayName::all().map(|name| run_periodically(service, name.as_str(), move || sweep_gateway(service, name)));
    tokio::join!(
        join_all(gateways),
        run_periodically(service, "events", move || sweep_events(service)),
        run_periodically(service, "setups", move || setups::sweep(service, service.clock.now())),
        run_periodically(service, "subscriptions", move || subscriptions::sweep(service, service.clock.now())),
        run_periodically(service, "comparison", move || daily_comparison::compare_all(service, service.clock.now())),
    );
}

async fn run_periodically<F: Future<Output = Result<(), AppError>>>(
    service: &BillingService,
    what: &str,
    look: impl Fn() -> F,
) {
    let mut tick = tokio::time::interval(service.config.payment.reconcile_every);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = service.stopping.cancelled() => return,
        }
        if let Err(error) = catch_panic(look()).await {
            tracing::warn!(%error, what, "failed to run reconciliation task");
        }
    }
}

async fn sweep_gateway(service: &BillingService, gateway: GatewayName) -> Result<(), AppError> {
    let payments = sweep_payments(service, gateway).await;
    let refunds = sweep_refunds(service, gateway).await;
    payments.and(refunds)
}

async fn sweep_payments(service: &BillingService, gateway: GatewayName) -> Result<(), AppError> {
    let now = service.clock.now();
    let next = now.plus(service.config.payment.reconcile_after);
    // The payments are fetched concurrently, because each request to an unavailable gateway waits for its timeout.
    let due = rows::claim_due(service.db.writer(), gateway.as_str(), now, next, SWEEP_BATCH).await?;
    stream::iter(due)
        .for_each_concurrent(MAX_CONCURRENT, |id| async move {
            if let Err(error) = reconcile(service, id).await {
                tracing::warn!(%error, payment = %id, "failed to reconcile payment");
            }
        })
        .await;
    Ok(())
}

async fn sweep_refunds(service: &BillingService, gateway: GatewayName) -> Result<(), AppError> {
    let now = service.clock.now();
    let next = now.plus(service.config.payment.reconcile_after);
    let due = rows::claim_due_refunds(service.db.writer(), gateway.as_str(), now, next, SWEEP_BATCH).await?;
    stream::iter(due)
        .for_each_concurrent(MAX_CONCURRENT, |id| async move {
            if let Err(error) = refund::complete(service, id).await {
                tracing::warn!(%error, refund = %id, "failed to complete refund");
            }
        })
        .await;
    Ok(())
}

/// Applies deferred events whose payment exists now, and discards those whose payment will not come.
async fn sweep_events(service: &BillingService) -> Result<(), AppError> {
    let now = service.clock.now();
    let applied = apply_awaited(service).await;
    let forgotten = discard_foreign_events(service, now).await;
    let removed = match service.config.payment.event_retention_days {
        0 => Ok(()),
        days => rows::remove_events(service.db.writer(), now.minus(DAY * days), CLEANUP_BATCH).await,
    };
    applied.and(forgotten).and(removed)
}

async fn apply_awaited(service: &BillingService) -> Result<(), AppError> {
    let mut after = Uuid::nil();
    loop {
        let part = rows::unblocked(service.db.reader(), after, SWEEP_BATCH).await?;
        let Some(last) = part.last() else { return Ok(()) };
        after = *last;
        for id in part {
            if let Err(error) = apply_waiting(service, id).await {
                tracing::error!(%error, payment = %id, "failed to apply deferred events");
            }
        }
    }
}

async fn discard_foreign_events(service: &BillingService, now: Timestamp) -> Result<(), AppError> {
    let forgotten = rows::discard_foreign(service.db.writer(), now, now.minus(UNKNOWN_CHARGE_TTL)).await?;
    if forgotten > 0 {
        tracing::info!(forgotten, "deferred events of unknown charges discarded");
    }
    Ok(())
}

async fn apply_waiting(service: &BillingService, id: Uuid) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    let Some(mut row) = rows::lock(&tx, id).await? else { return Ok(()) };
    let before = row.clone();
    apply::apply_deferred(service, &tx, &mut row, service.clock.now()).await?;
    rows::store(&tx, row.clone()).await?;
    tx.commit().await.map_err(app_error)?;
    apply::notify_payer(service, &before, &row);
    Ok(())
}

/// Fetches a payment from the gateway, and applies its state.
pub async fn reconcile(service: &BillingService, id: Uuid) -> Result<(), AppError> {
    let row = rows::by_id(service.db.writer(), id).await?.ok_or(Code::NotFound)?;
    fetch_and_apply(service, row).await
}

/// Fetches the state of a payment whose row was already read.
pub(super) async fn fetch_and_apply(service: &BillingService, row: payment::Model) -> Result<(), AppError> {
    let now = service.clock.now();
    // Without a reference the payer never got a URL to pay at, so there is nothing to fetch.
    let news = if row.reference.is_none() {
        (now >= row.expires_at).then_some(PaymentUpdate::Expired)
    } else {
        let gateway = gateway_of(service, &row)?;
        let found = gateway.fetch(&known_payment(service, &row)?).await.map_err(request_error)?;
        match found.remote {
            RemoteState::Approved => capture(service, &row).await?,
            _ => update_from(found),
        }
    };
    apply_update(service, row.id, news.as_ref()).await
}

/// Applies the gateway's answer, under the payment's lock.
pub(super) async fn apply_update(
    service: &BillingService,
    id: Uuid,
    news: Option<&PaymentUpdate>,
) -> Result<(), AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut locked = rows::lock(&tx, id).await?.ok_or(Code::NotFound)?;
    let before = locked.clone();
    if let Some(news) = news {
        apply::apply_update(service, &tx, &mut locked, news, now).await?;
        apply::apply_deferred(service, &tx, &mut locked, now).await?;
    }
    if stage(&locked)? == Stage::Pending && now >= locked.expires_at.plus(EXPIRY_MARGIN) {
        // If the payment is paid nevertheless, it is still applied.
        apply::advance_stage(&mut locked, Stage::Expired)?;
    }
    if locked != before {
        rows::store(&tx, locked.clone()).await?;
    }
    tx.commit().await.map_err(app_error)?;
    apply::notify_payer(service, &before, &locked);
    Ok(())
}

/// Captures a payment that the payer has approved.
pub(super) async fn capture(service: &BillingService, row: &payment::Model) -> Result<Option<PaymentUpdate>, AppError> {
    let gateway = gateway_of(service, row)?;
    Ok(update_from(gateway.capture(&known_payment(service, row)?).await.map_err(request_error)?))
}

fn update_from(snapshot: Snapshot) -> Option<PaymentUpdate> {
    match snapshot.remote {
        RemoteState::Open | RemoteState::Approved => None,
        RemoteState::Paid(money) => Some(PaymentUpdate::Paid { money, charge: snapshot.charge }),
        RemoteState::Failed => Some(PaymentUpdate::Failed),
        RemoteState::Expired => Some(PaymentUpdate::Expired),
    }
}
