//! Plans and payment gateways.

use std::collections::BTreeMap;

use appcore::{
    AppError, PlanId,
    credits::MicroCredits,
    page::{Page, PageRequest},
    view::{PaymentGateway, PlanInterval, PlanKind, Price, PricingPlan, QuotaMetric},
};
use billing::payments::{
    self,
    plans::{self, PlanDefinition},
};
use identity::accounts::Confirmed;
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListPlans>(),
    EndpointDef::of::<ListPaymentGateways>(),
    EndpointDef::of::<ListAllPlans>(),
    EndpointDef::of::<CreatePlan>(),
    EndpointDef::of::<ChangePlan>(),
];

/// Wraps a short list that is not paged into a single page.
pub(super) fn single_page<T>(items: Vec<T>) -> Page<T> {
    let total = items.len() as u64;
    Page::new(items, PageRequest::new(None, Some(total.max(1))), total)
}

/// List the plans
///
/// Active plans in display order; empty if billing is disabled.
#[endpoint(GET "/r1/pricing_plans", tag = "payments", access = Access::Public, rate = RateGroup::Read)]
impl Endpoint for ListPlans {
    type Request = NoInput;
    type Response = Page<PricingPlan>;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Page<PricingPlan>>, AppError> {
        let found = if ctx.billing().is_charging() { plans::list(ctx.billing(), false).await? } else { Vec::new() };
        Ok(Reply::of(single_page(found)))
    }
}

/// List the payment gateways
#[endpoint(GET "/r1/payment_gateways", tag = "payments", access = Access::Public, rate = RateGroup::Read)]
impl Endpoint for ListPaymentGateways {
    type Request = NoInput;
    type Response = Page<PaymentGateway>;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Page<PaymentGateway>>, AppError> {
        Ok(Reply::of(single_page(payments::gateways(ctx.billing()))))
    }
}

/// List all plans, including inactive ones
#[endpoint(GET "/r1/admin/pricing_plans", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListAllPlans {
    type Request = NoInput;
    type Response = Page<PricingPlan>;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Page<PricingPlan>>, AppError> {
        Ok(Reply::of(single_page(plans::list(ctx.billing(), true).await?)))
    }
}

#[dto(request)]
pub struct CreatePlanRequest {
    pub name: String,
    pub kind: PlanKind,
    /// Billing interval of a subscription.
    pub interval: Option<PlanInterval>,
    /// Prices of the plan, one per currency.
    pub prices: Vec<Price>,
    /// Granted micro-credits, once or in each period.
    pub credits: MicroCredits,
    /// Quotas by metric; omitted ones are unlimited.
    pub quotas: Option<BTreeMap<QuotaMetric, i64>>,
    pub features: Option<Vec<String>>,
    /// Trial of a subscription, in days; by default none.
    pub trial_days: Option<u32>,
    /// True (the default) if the plan can be bought.
    pub is_active: Option<bool>,
}

/// Create a plan
#[endpoint(POST "/r1/admin/pricing_plans", tag = "admin", access = Access::Admin, rate = RateGroup::Write, status = 201, requires = Confirmed)]
impl Endpoint for CreatePlan {
    type Request = CreatePlanRequest;
    type Response = PricingPlan;

    async fn handle(ctx: &Ctx, request: CreatePlanRequest, by: &Confirmed) -> Result<Reply<PricingPlan>, AppError> {
        let CreatePlanRequest { name, kind, interval, prices, credits, quotas, features, trial_days, is_active } =
            request;
        let definition = PlanDefinition {
            name,
            kind,
            interval,
            prices,
            credits,
            quotas: quotas.unwrap_or_default(),
            features: features.unwrap_or_default(),
            trial_days: trial_days.unwrap_or_default(),
            is_active: is_active.unwrap_or(true),
        };
        Ok(Reply::of(plans::create(ctx.billing(), by, definition).await?))
    }
}

#[dto(request)]
pub struct ChangePlanRequest {
    #[from(path)]
    pub id: PlanId,
    pub name: Option<String>,
    pub prices: Option<Vec<Price>>,
    pub credits: Option<MicroCredits>,
    pub quotas: Option<BTreeMap<QuotaMetric, i64>>,
    pub features: Option<Vec<String>>,
    pub trial_days: Option<u32>,
    pub is_active: Option<bool>,
}

/// Change a plan
///
/// A sold plan is deactivated and replaced by a new plan with a new id, which is returned.
#[endpoint(PATCH "/r1/admin/pricing_plans/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for ChangePlan {
    type Request = ChangePlanRequest;
    type Response = PricingPlan;

    async fn handle(ctx: &Ctx, request: ChangePlanRequest, by: &Confirmed) -> Result<Reply<PricingPlan>, AppError> {
        let ChangePlanRequest { id, name, prices, credits, quotas, features, trial_days, is_active } = request;
        let edit = |plan: &mut PlanDefinition| {
            plan.name = name.unwrap_or_else(|| std::mem::take(&mut plan.name));
            plan.prices = prices.unwrap_or_else(|| std::mem::take(&mut plan.prices));
            plan.credits = credits.unwrap_or(plan.credits);
            plan.quotas = quotas.unwrap_or_else(|| std::mem::take(&mut plan.quotas));
            plan.features = features.unwrap_or_else(|| std::mem::take(&mut plan.features));
            plan.trial_days = trial_days.unwrap_or(plan.trial_days);
            plan.is_active = is_active.unwrap_or(plan.is_active);
        };
        Ok(Reply::of(plans::change(ctx.billing(), by, id, edit).await?))
    }
}
