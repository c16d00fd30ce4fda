//! From a plan to the place where it is paid, and back.

use std::{net::IpAddr, time::Duration};

use ::payment::{Currency, GatewayError, GatewayName, Money, Stage};
use appcore::{AppError, Code, auth::Principal, view::PlanKind};
use dbcontext::{
    constraint::app_error,
    entity::payment,
    query::{payments as rows, plans as plan_rows},
};
use url::Url;
use uuid::Uuid;

use super::{apply, failed, plans, price, public_url, reconcile, stage};
use crate::App;

/// How long a payer has. Stripe wants at least 30 minutes.
const PATIENCE: Duration = Duration::from_secs(35 * 60);
const MAX_KEY: usize = 200;
/// Where a payer's browser goes in the end.
const RESULT: &str = "/plans/result";

/// What is to be bought.
#[derive(Clone, Debug)]
pub struct Order {
    pub plan_id: Uuid,
    pub gateway: GatewayName,
    /// None: the plan's first that the gateway takes.
    pub currency: Option<Currency>,
    /// A path of this server.
    pub return_url: Option<String>,
    /// The same again is the same payment.
    pub key: Option<String>,
    pub address: Option<IpAddr>,
}

/// Where it is paid.
#[derive(Clone, Debug)]
pub struct Begun {
    pub payment_id: Uuid,
    pub redirect_url: String,
    pub expires_at: appcore::Timestamp,
}

/// Begins a payment, or finds the one that was begun by this key.
pub async fn begin(app: &App, by: &Principal, order: Order) -> Result<Begun, AppError> {
    if !app.payments.is_on(order.gateway) {
        return Err(Code::GatewayOff.into());
    }
    let gateway = app.payments.gateway(order.gateway).ok_or(Code::GatewayOff)?;
    let key = order.key.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
    if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(AppError::field(
            "idempotency-key",
            "invalid",
            "The key must be 1 to 200 letters, digits and signs.",
        ));
    }
    let plan = plan_rows::by_id(app.db.reader(), order.plan_id).await?.filter(|plan| plan.is_active != 0);
    let plan = plans::view(plan.ok_or(Code::NotFound)?)?;
    let price = chosen(&plan, gateway.as_ref(), order.currency)?;
    let now = app.clock.now();
    let row = payment::Model {
        id: Uuid::now_v7(),
        user_id: by.user_id,
        plan_id: plan.id,
        gateway: order.gateway.as_str().to_owned(),
        amount: price.amount,
        currency: price.currency.code().to_owned(),
        stage: Stage::Created.as_str().to_owned(),
        status: Stage::Created.as_str().to_owned(),
        idempotency_key: key.clone(),
        return_path: order.return_url.as_deref().map(|path| own_path(app, path)).transpose()?,
        reference: None,
        charge: None,
        redirect_url: None,
        refunded: 0,
        is_disputed: 0,
        quarantine: None,
        receipt_year: None,
        receipt_number: None,
        created_at: now,
        expires_at: now.plus(PATIENCE),
        paid_at: None,
        check_at: Some(now.plus(app.config.payment.reconcile_after)),
    };
    let row = if rows::insert(app.db.writer(), row.clone()).await? {
        row
    } else {
        let begun = rows::by_key(app.db.writer(), by.user_id, &key).await?.ok_or(Code::Conflict)?;
        if (begun.plan_id, &begun.gateway, &begun.currency) != (row.plan_id, &row.gateway, &row.currency) {
            return Err(AppError::refused(Code::Conflict, "This Idempotency-Key belongs to another payment."));
        }
        begun
    };
    if let Some(redirect_url) = row.redirect_url {
        return Ok(Begun { payment_id: row.id, redirect_url, expires_at: row.expires_at });
    }
    if stage(&row)? != Stage::Created || now >= row.expires_at {
        return Err(AppError::refused(Code::Conflict, "This payment has ended already. Begin a new one."));
    }
    open(app, row, &plan.name, order.address).await
}

/// Has the gateway make the place where it is paid. Asked again, it makes the same one.
async fn open(app: &App, row: payment::Model, title: &str, address: Option<IpAddr>) -> Result<Begun, AppError> {
    let gateway = super::gateway_of(app, &row)?;
    let base = public_url(&app.config).map_err(AppError::Internal)?;
    let own = |path: String| base.join(&path).map_err(AppError::internal);
    let return_url = own(format!("/r1/payments/callback/{}?payment={}", row.gateway, row.id))?;
    let notify_url = own(format!("/r1/payments/webhooks/{}", row.gateway))?;
    let order = ::payment::Order {
        payment_id: row.id,
        price: price(&row)?,
        title,
        return_url: &return_url,
        notify_url: &notify_url,
        created_at: row.created_at,
        expires_at: row.expires_at,
        address,
    };
    let made = gateway.create_checkout(&order).await;
    let tx = app.db.begin().await.map_err(app_error)?;
    let mut locked = rows::lock(&tx, row.id).await?.ok_or(Code::NotFound)?;
    match made {
        Ok(made) => {
            // A webhook may have been faster.
            apply::step(&mut locked, Stage::Pending)?;
            locked.reference = Some(made.reference);
            locked.redirect_url = Some(made.redirect_url.clone());
            let expires_at = locked.expires_at;
            rows::store(&tx, locked).await?;
            tx.commit().await.map_err(app_error)?;
            Ok(Begun { payment_id: row.id, redirect_url: made.redirect_url, expires_at })
        }
        Err(error) => {
            // Nobody was told where to pay, so nobody pays: where it is not known whether it was made, it expires by itself.
            if matches!(error, GatewayError::Refused(_)) {
                apply::step(&mut locked, Stage::Failed)?;
                rows::store(&tx, locked).await?;
                tx.commit().await.map_err(app_error)?;
            }
            tracing::warn!(%error, payment = %row.id, "a payment could not be begun");
            Err(failed(error))
        }
    }
}

fn chosen(
    plan: &appcore::view::PricingPlan,
    gateway: &dyn ::payment::Gateway,
    currency: Option<Currency>,
) -> Result<Money, AppError> {
    let refused = || AppError::field("currency", "invalid", "This can't be paid in this currency here.");
    let mut prices =
        plan.prices.iter().filter_map(|price| Some(Money::new(price.amount, price.currency.parse().ok()?)));
    let fits = |price: &Money| gateway.limits(price.currency).is_some_and(|limits| limits.contains(&price.amount));
    prices.find(|price| currency.is_none_or(|asked| asked == price.currency) && fits(price)).ok_or_else(refused)
}

/// A path of ours: a browser is sent nowhere else.
fn own_path(app: &App, url: &str) -> Result<String, AppError> {
    let refused = || AppError::field("return_url", "invalid", "This must be a page of this server.");
    let base = public_url(&app.config).map_err(AppError::Internal)?;
    let url: Url = base.join(url).map_err(|_| refused())?;
    if url.origin() != base.origin() || url.as_str().len() > 500 {
        return Err(refused());
    }
    Ok(url[url::Position::BeforePath..].to_owned())
}

/// The payer's browser is back. That proves nothing: the gateway is asked, and the browser goes to a page that waits for the truth.
pub async fn finish(app: &App, gateway: GatewayName, payment_id: Option<Uuid>) -> Result<String, AppError> {
    let row = match payment_id {
        Some(id) => rows::by_id(app.db.reader(), id).await?.filter(|row| row.gateway == gateway.as_str()),
        None => None,
    };
    let Some(row) = row else { return Ok(RESULT.to_owned()) };
    let path = row.return_path.clone().unwrap_or_else(|| RESULT.to_owned());
    let id = row.id;
    if stage(&row)?.is_open()
        && let Err(error) = reconcile::ask(app, row).await
    {
        tracing::info!(%error, payment = %id, "the gateway could not be asked when the payer came back");
    }
    let separator = if path.contains('?') { '&' } else { '?' };
    Ok(format!("{path}{separator}payment={id}"))
}

/// Subscriptions are paid period by period.
pub(super) const fn is_period(kind: PlanKind) -> bool {
    matches!(kind, PlanKind::Subscription)
}
