//! Payments: plans, checkout, webhooks, refunds, and subscriptions.
//!
//! A [checkout](checkout) sends a payer to a gateway. The gateway reports the outcome to the [webhook
//! inbox](webhook_inbox), where each event is verified, and then stored and applied in one transaction, exactly once.
//! Payments without an event are [fetched](reconciler) from the gateway. Both produce [updates](apply), which change
//! the payment under the lock of its row and may arrive in any order. The state machine is in the crate `payment`.

mod apply;
pub mod auto_top_up;
pub(crate) mod balances;
mod charges;
mod checkout;
mod daily_comparison;
mod demo;
mod fulfilment;
mod health;
mod payment_toggles;
pub mod plans;
mod quarantine;
mod receipts;
mod reconciler;
mod refund;
mod revenue;
mod reversals;
pub mod setups;
pub mod subscriptions;
#[cfg(test)]
mod tests;
pub mod webhook_inbox;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use ::payment::{Currency, Demo, Gateway, GatewayError, GatewayName, KnownPayment, Money, PaymentContext, Stage};
use appcore::{
    AppError, Code, PlanId, UserId,
    auth::Principal,
    config::Config,
    page::{Page, PageRequest},
    view::{AdminPayment, CreditNote, Payment, PaymentStatus, RefundFilter},
};
use dbcontext::{
    entity::payment,
    query::{payments as rows, plans as plan_rows},
};
use url::Url;
use uuid::Uuid;

use self::checkout::new_payment;
use self::subscriptions::Payer;
pub use self::{
    checkout::{CheckoutRequest, StartedCheckout, finish, start},
    daily_comparison::{close as close_difference, differences},
    demo::complete_demo,
    health::{health, test},
    payment_toggles::{gateways, set_enabled},
    quarantine::{details, release},
    receipts::{Document, billing_details, change_billing_details, credit_note, receipt},
    reconciler::reconcile,
    refund::{decide_refund, refund},
    revenue::revenue,
};
pub(crate) use self::{payment_toggles::handle_bus_messages, reconciler::run_reconciliation};
use crate::BillingService;
pub use ::payment::settings;

/// Payment gateways of this instance.
pub struct Payments {
    gateways: BTreeMap<GatewayName, Arc<dyn Gateway>>,
    /// Switches set by administrators; a gateway without one is on.
    switches: RwLock<HashMap<GatewayName, bool>>,
    /// Signalled when balances have changed.
    balances_changed: tokio::sync::Notify,
}

impl Payments {
    pub(crate) fn build(config: &Config) -> anyhow::Result<Self> {
        let around = PaymentContext { public_url: public_url(config)? };
        let mut gateways = BTreeMap::new();
        for name in GatewayName::all() {
            if let Some(settings) = config.payment.gateways.get(name.as_str()).filter(|one| one.is_enabled()) {
                gateways.insert(name, name.build(settings, &around)?);
            }
        }
        Ok(Self { gateways, switches: RwLock::default(), balances_changed: tokio::sync::Notify::new() })
    }

    /// True if a gateway is configured. A gateway that is switched off for a while doesn't make usage free.
    #[must_use]
    pub fn is_charging(&self) -> bool {
        !self.gateways.is_empty()
    }

    fn gateway(&self, name: GatewayName) -> Option<&Arc<dyn Gateway>> {
        self.gateways.get(&name)
    }

    /// The demo gateway, if it is enabled.
    fn demo(&self) -> Option<&Demo> {
        self.gateways.values().find_map(|gateway| gateway.demo())
    }

    fn is_enabled(&self, name: GatewayName) -> bool {
        let switches = self.switches.read().unwrap_or_else(PoisonError::into_inner);
        self.gateways.contains_key(&name) && switches.get(&name).copied().unwrap_or(true)
    }
}

fn public_url(config: &Config) -> anyhow::Result<Url> {
    Ok(Url::parse(&config.server.public_url())?)
}

/// Absolute URL of a path of this server. The path begins with a slash.
fn absolute_url(config: &Config, path: &str) -> Result<Url, AppError> {
    Url::parse(&format!("{}{path}", config.server.public_url())).map_err(AppError::internal)
}

/// Parses the stage of a stored payment.
fn stage(row: &payment::Model) -> Result<Stage, AppError> {
    row.stage.parse().map_err(AppError::internal)
}

fn price(row: &payment::Model) -> Result<Money, AppError> {
    Ok(Money::new(row.amount, row.currency.parse::<Currency>().map_err(AppError::internal)?))
}

fn gateway_of<'a>(service: &'a BillingService, row: &payment::Model) -> Result<&'a Arc<dyn Gateway>, AppError> {
    let name = row.gateway.parse().map_err(AppError::internal)?;
    service.payments.gateway(name).ok_or_else(|| Code::GatewayOff.into())
}

fn known_payment<'a>(service: &BillingService, row: &'a payment::Model) -> Result<KnownPayment<'a>, AppError> {
    Ok(KnownPayment {
        payment_id: row.id,
        reference: row.reference.as_deref().unwrap_or_default(),
        charge: row.charge.as_deref(),
        price: price(row)?,
        created_at: row.created_at,
        expires_at: row.expires_at,
        now: service.clock.now(),
    })
}

/// Maps a gateway error to the error of the request that caused the call.
fn request_error(error: GatewayError) -> AppError {
    match error {
        GatewayError::OutcomeUnknown(reason) => AppError::unavailable(anyhow::anyhow!(reason)),
        GatewayError::Rejected(reason) => {
            tracing::warn!(reason, "payment gateway rejected the request");
            AppError::refused(Code::WrongState, "The payment provider didn't accept this. Try another payment method.")
        }
    }
}

/// Lists the payer's payments, newest first.
pub async fn list(service: &BillingService, payer: Payer, page: PageRequest) -> Result<Page<Payment>, AppError> {
    let filter = match payer.workspace_id {
        Some(id) => rows::Filter { workspace_id: Some(id), ..rows::Filter::default() },
        None => rows::Filter { user_id: Some(payer.user_id), ..rows::Filter::default() },
    };
    let (found, total) = rows::list(service.db.reader(), filter, page).await?;
    Ok(Page::new(views(service, found).await?, page, total))
}

/// Reads one payment of the caller.
pub async fn read(service: &BillingService, by: &Principal, id: Uuid) -> Result<Payment, AppError> {
    view(service, find_visible(service, by, id).await?).await
}

/// Lists all payments, newest first, for administrators.
pub async fn list_all(
    service: &BillingService,
    wanted: PaymentFilter,
    page: PageRequest,
) -> Result<Page<AdminPayment>, AppError> {
    let filter = rows::Filter {
        user_id: wanted.user_id,
        workspace_id: None,
        status: wanted.status,
        gateway: wanted.gateway.map(GatewayName::as_str),
        is_refund_stuck: wanted.refund == Some(RefundFilter::Stuck),
    };
    let (found, total) = rows::list(service.db.reader(), filter, page).await?;
    Ok(Page::new(admin_views(service, found).await?, page, total))
}

/// Filter of the administrators' list of payments; empty fields match all.
#[derive(Clone, Copy, Debug, Default)]
pub struct PaymentFilter {
    pub status: Option<PaymentStatus>,
    pub gateway: Option<GatewayName>,
    pub user_id: Option<UserId>,
    pub refund: Option<RefundFilter>,
}

async fn admin_views(service: &BillingService, found: Vec<payment::Model>) -> Result<Vec<AdminPayment>, AppError> {
    let items = views(service, found.clone()).await?.into_iter().zip(found);
    let view = |(payment, row): (Payment, payment::Model)| AdminPayment {
        payment,
        user_id: row.user_id,
        quarantine: row.quarantine,
        reference: row.reference,
        charge: row.charge,
        paid_amount: row.paid_amount,
        paid_currency: row.paid_currency,
    };
    Ok(items.map(view).collect())
}

/// Reads a payment that the caller may see.
async fn find_visible(service: &BillingService, by: &Principal, id: Uuid) -> Result<payment::Model, AppError> {
    let row = rows::by_id(service.db.reader(), id).await?.ok_or(Code::NotFound)?;
    if row.user_id != by.user_id {
        // A payment of a workspace is visible to everybody who may pay for it.
        let workspace = row.workspace_id.ok_or(Code::NotFound)?;
        Payer::authorize(service, by, Some(workspace)).await?;
    }
    Ok(row)
}

async fn view(service: &BillingService, row: payment::Model) -> Result<Payment, AppError> {
    views(service, vec![row]).await?.pop().ok_or_else(|| Code::NotFound.into())
}

async fn views(service: &BillingService, found: Vec<payment::Model>) -> Result<Vec<Payment>, AppError> {
    let mut ids: Vec<PlanId> = found.iter().map(|row| row.plan_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let names: HashMap<PlanId, String> =
        plan_rows::by_ids(service.db.reader(), ids).await?.into_iter().map(|plan| (plan.id, plan.name)).collect();
    let now = service.clock.now();
    let refunded = found.iter().filter(|row| row.refunded > 0).map(|row| row.id).collect();
    let mut notes: HashMap<Uuid, Vec<CreditNote>> = HashMap::new();
    for refund in rows::refunds_done(service.db.reader(), refunded).await? {
        if let Some(number) = receipts::format_number(refund.credit_note_year, refund.credit_note_number) {
            let created_at = refund.refunded_at.unwrap_or(refund.created_at);
            notes.entry(refund.payment_id).or_default().push(CreditNote { number, amount: refund.amount, created_at });
        }
    }
    found
        .into_iter()
        .map(|row| {
            let can_pay = stage(&row)?.is_open() && now < row.expires_at && row.quarantine.is_none();
            Ok(Payment {
                status: row.status,
                plan_name: names.get(&row.plan_id).cloned().unwrap_or_default(),
                redirect_url: row.redirect_url.filter(|_| can_pay),
                receipt: receipts::format_number(row.receipt_year, row.receipt_number),
                credit_notes: notes.remove(&row.id).unwrap_or_default(),
                id: row.id,
                gateway: row.gateway,
                amount: row.amount,
                currency: row.currency,
                workspace_id: row.workspace_id,
                subscription_id: row.subscription_id,
                plan_id: row.plan_id.0,
                created_at: row.created_at,
                expires_at: row.expires_at,
                paid_at: row.paid_at,
                refunded_amount: row.refunded,
            })
        })
        .collect()
}
