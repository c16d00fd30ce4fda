//! Setups: saving a payment method without a purchase.
//!
//! A setup is stored before the gateway is asked for it. A webhook, the return of the payer's browser, or
//! reconciliation only triggers a fetch of the outcome from the gateway.

use std::time::Duration;

use ::payment::{DemoSetupOutcome, GatewayName, MethodOwner, SetupOrder, SetupState};
use appcore::{
    AppError, Code, PaymentMethodSetupId, Timestamp,
    auth::Principal,
    view::{PaymentMethodSetup, SetupStatus},
};
use dbcontext::{
    constraint::app_error,
    entity::payment_method_setup::Model,
    query::{payment_methods as rows, users},
};
use futures_util::stream::{self, StreamExt as _};
use jobs::{Job, JobContext, JobOutcome, JobPayload};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    absolute_url,
    checkout::{BILLING_PATH, own_path, return_location},
    reconciler::MAX_CONCURRENT,
    request_error,
    subscriptions::{self, Payer, wrong_state},
};
use crate::BillingService;

/// Time in which a payer must finish the setup. Stripe requires at least 30 minutes.
const SETUP_TIMEOUT: Duration = Duration::from_secs(35 * 60);
/// Time after a setup's expiry until it is closed.
const EXPIRY_MARGIN: Duration = Duration::from_secs(3_600);
/// Maximum number of saved payment methods per account.
const MAX_METHODS: u64 = 20;
/// Maximum number of setups that a sweep claims.
const SWEEP_BATCH: u64 = 100;

/// Started setup, with the URL where the payer enters the payment method.
#[derive(Clone, Debug)]
pub struct StartedSetup {
    pub setup_id: PaymentMethodSetupId,
    pub redirect_url: String,
    pub expires_at: Timestamp,
}

/// Job that fetches the outcome of a setup after a webhook.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct FinishSetupJob {
    pub setup_id: PaymentMethodSetupId,
}

impl JobPayload for FinishSetupJob {
    const KIND: &'static str = "finish_payment_setup";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.setup_id)
    }

    fn subject(&self) -> Uuid {
        self.setup_id.0
    }
}

impl Job<BillingService> for FinishSetupJob {
    async fn run(self, work: JobContext<'_, BillingService>) -> Result<JobOutcome, AppError> {
        tokio::select! {
            done = fetch_and_apply(work.state, self.setup_id) => done.map(|()| JobOutcome::Done),
            _ = work.lease.keep_alive(&work.state.db) => Ok(JobOutcome::Lost),
            () = work.draining.cancelled() => Ok(JobOutcome::Requeued),
        }
    }
}

/// Starts saving a payment method.
pub async fn start(
    service: &BillingService,
    payer: Payer,
    name: GatewayName,
    return_url: Option<String>,
) -> Result<StartedSetup, AppError> {
    if !service.payments.is_enabled(name) {
        return Err(Code::GatewayOff.into());
    }
    let recurring = service.payments.gateway(name).and_then(|gateway| gateway.recurring()).ok_or(Code::GatewayOff)?;
    let return_path = own_path(service, return_url.as_deref().unwrap_or(BILLING_PATH))?;
    if rows::count(service.db.reader(), payer.account()).await? >= MAX_METHODS {
        return Err(wrong_state("You've reached the limit of 20 saved payment methods. Remove one first."));
    }
    let now = service.clock.now();
    let row = Model {
        id: PaymentMethodSetupId::new(),
        account_id: payer.account(),
        user_id: payer.user_id,
        workspace_id: payer.workspace_id,
        gateway: name.as_str().to_owned(),
        state: SetupStatus::Open,
        reference: None,
        redirect_url: None,
        return_path,
        method_id: None,
        created_at: now,
        expires_at: now.plus(SETUP_TIMEOUT),
        check_at: Some(now.plus(service.config.payment.reconcile_after)),
    };
    rows::insert_setup(service.db.writer(), row.clone()).await?;
    let back = absolute_url(&service.config, &format!("/r1/payment_methods/callback/{name}?setup={}", row.id))?;
    let user = users::by_id(service.db.reader(), payer.user_id).await?.ok_or(Code::Unauthenticated)?;
    let customer = subscriptions::customer_of(service, payer, name).await?;
    let order = SetupOrder {
        setup_id: row.id.0,
        save_for: MethodOwner { customer: customer.as_deref(), email: &user.email },
        return_url: &back,
        expires_at: row.expires_at,
    };
    // If it is unknown whether the gateway created it, the setup expires, because the payer didn't get its URL.
    let made = recurring.create_setup(&order).await.map_err(request_error)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut locked = rows::lock_setup(&tx, row.id).await?.ok_or(Code::NotFound)?;
    locked.reference = Some(made.reference);
    locked.redirect_url = Some(made.redirect_url.clone());
    rows::store_setup(&tx, locked).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(StartedSetup { setup_id: row.id, redirect_url: made.redirect_url, expires_at: row.expires_at })
}

/// Reads a setup that the caller may see.
async fn find_visible(service: &BillingService, by: &Principal, id: PaymentMethodSetupId) -> Result<Model, AppError> {
    let row = rows::setup(service.db.writer(), id).await?.ok_or(Code::NotFound)?;
    if row.user_id != by.user_id {
        // A setup of a workspace is visible to everybody who may pay for it.
        let workspace = row.workspace_id.ok_or(Code::NotFound)?;
        Payer::authorize(service, by, Some(workspace)).await?;
    }
    Ok(row)
}

pub async fn read(
    service: &BillingService,
    by: &Principal,
    id: PaymentMethodSetupId,
) -> Result<PaymentMethodSetup, AppError> {
    view(service, find_visible(service, by, id).await?).await
}

async fn view(service: &BillingService, row: Model) -> Result<PaymentMethodSetup, AppError> {
    let method = match row.method_id {
        Some(id) => rows::by_id(service.db.writer(), id).await?,
        None => None,
    };
    Ok(PaymentMethodSetup {
        id: row.id.0,
        status: row.state,
        gateway: row.gateway,
        method: method.as_ref().map(subscriptions::method_view),
        workspace_id: row.workspace_id,
        expires_at: row.expires_at,
    })
}

/// Handles the return of the payer's browser. The return proves nothing: the gateway is queried, and the browser is
/// redirected.
pub async fn finish(
    service: &BillingService,
    gateway: GatewayName,
    id: Option<PaymentMethodSetupId>,
) -> Result<String, AppError> {
    let row = match id {
        Some(id) => rows::setup(service.db.reader(), id).await?.filter(|row| row.gateway == gateway.as_str()),
        None => None,
    };
    let Some(row) = row else { return Ok(BILLING_PATH.to_owned()) };
    if row.state == SetupStatus::Open
        && let Err(error) = fetch_and_apply(service, row.id).await
    {
        tracing::info!(%error, setup = %row.id, "failed to fetch payment method setup on the payer's return");
    }
    Ok(return_location(Some(&row.return_path), BILLING_PATH, "setup", row.id.0))
}

/// Sets the outcome of a demo setup.
pub async fn complete_demo(
    service: &BillingService,
    by: &Principal,
    id: PaymentMethodSetupId,
    outcome: DemoSetupOutcome,
) -> Result<PaymentMethodSetup, AppError> {
    let row = find_visible(service, by, id).await?;
    if row.gateway != GatewayName::DEMO.as_str() {
        return Err(wrong_state("This isn't a demo."));
    }
    apply(service, id, outcome.state()).await?;
    read(service, by, id).await
}

/// Fetches the setups that are due. Every instance runs this; each setup is claimed by one.
pub(super) async fn sweep(service: &BillingService, now: Timestamp) -> Result<(), AppError> {
    let next = now.plus(service.config.payment.reconcile_after);
    let due = rows::claim_due_setups(service.db.writer(), now, next, SWEEP_BATCH).await?;
    stream::iter(due)
        .for_each_concurrent(MAX_CONCURRENT, |id| async move {
            if let Err(error) = fetch_and_apply(service, id).await {
                tracing::warn!(%error, setup = %id, "failed to fetch payment method setup");
            }
        })
        .await;
    Ok(())
}

/// Fetches the setup from the gateway, and applies its state. Safe to repeat.
async fn fetch_and_apply(service: &BillingService, id: PaymentMethodSetupId) -> Result<(), AppError> {
    let Some(row) = rows::setup(service.db.writer(), id).await? else { return Ok(()) };
    let name: GatewayName = row.gateway.parse().map_err(AppError::internal)?;
    let recurring = service.payments.gateway(name).and_then(|gateway| gateway.recurring());
    let state = match (recurring, &row.reference) {
        (Some(recurring), Some(reference)) => recurring.fetch_setup(reference).await.map_err(request_error)?,
        _ => SetupState::Open,
    };
    apply(service, id, state).await
}

/// Applies the outcome of a setup, under the lock of its row. A method saved after the expiry is kept.
async fn apply(service: &BillingService, id: PaymentMethodSetupId, state: SetupState) -> Result<(), AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let Some(mut row) = rows::lock_setup(&tx, id).await? else { return Ok(()) };
    let before = row.state;
    if before == SetupStatus::Saved {
        return Ok(());
    }
    let mut changed = None;
    let after = match state {
        SetupState::Kept(kept) => {
            let payer = Payer { user_id: row.user_id, workspace_id: row.workspace_id };
            let (method, subscription) =
                subscriptions::save_method(service, &tx, payer, &row.gateway, kept, now).await?;
            row.method_id = Some(method.id);
            changed = subscription;
            SetupStatus::Saved
        }
        _ if before != SetupStatus::Open => before,
        SetupState::Failed => SetupStatus::Failed,
        SetupState::Expired => SetupStatus::Expired,
        SetupState::Open if now >= row.expires_at.plus(EXPIRY_MARGIN) => SetupStatus::Expired,
        SetupState::Open => SetupStatus::Open,
    };
    row.state = after;
    if after != SetupStatus::Open {
        row.check_at = None;
        row.redirect_url = None;
    }
    rows::store_setup(&tx, row).await?;
    tx.commit().await.map_err(app_error)?;
    if let Some(subscription) = changed {
        subscriptions::notify_payer(service, &subscription);
    }
    Ok(())
}
