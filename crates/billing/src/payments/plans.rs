//! Pricing plans. A plan that was sold is never changed: a change creates a new version.

use ::payment::{Currency, Money};
use appcore::{
    AppError, Code, PlanId, Timestamp,
    auth::Principal,
    credits::MicroCredits,
    view::{PlanInterval, PlanKind, Price, PricingPlan, QuotaMetric},
};
use dbcontext::{Database, constraint::app_error, entity::pricing_plan, query::plans as rows};
use platform::audit::{self, Action, NewAuditEntry};
use sea_orm::ConnectionTrait;
use std::collections::BTreeMap;
use uuid::Uuid;

use crate::BillingService;

const MAX_FEATURES: usize = 20;
const MAX_TEXT: usize = 200;
const MAX_TRIAL: u32 = 90;
/// Maximum number of credits of a plan: a million, in micro-credits.
const MAX_CREDITS: i64 = 1_000_000_000_000;

/// Definition of a plan by an administrator.
#[derive(Clone, Debug)]
pub struct PlanDefinition {
    pub name: String,
    pub kind: PlanKind,
    pub interval: Option<PlanInterval>,
    pub prices: Vec<Price>,
    pub credits: MicroCredits,
    pub quotas: BTreeMap<QuotaMetric, i64>,
    pub features: Vec<String>,
    /// Length of the trial in days; 0 means no trial.
    pub trial_days: u32,
    pub is_active: bool,
}

/// Lists the plans in display order.
pub async fn list(service: &BillingService, inactive_too: bool) -> Result<Vec<PricingPlan>, AppError> {
    rows::list(service.db.reader(), inactive_too).await?.into_iter().map(view).collect()
}

pub(super) fn view(row: pricing_plan::Model) -> Result<PricingPlan, AppError> {
    Ok(PricingPlan {
        id: row.id,
        name: row.name,
        kind: row.kind,
        interval: row.interval,
        prices: serde_json::from_str(&row.prices).map_err(AppError::internal)?,
        credits: row.credits,
        quotas: serde_json::from_str(&row.quotas).map_err(AppError::internal)?,
        features: serde_json::from_str(&row.features).map_err(AppError::internal)?,
        trial_days: u32::try_from(row.trial_days).unwrap_or(0),
        is_active: row.is_active,
    })
}

/// Returns an offered plan under a shared lock, so that the price paid is the price read here.
pub(super) async fn find_offered<C: ConnectionTrait>(txn: &C, id: PlanId) -> Result<pricing_plan::Model, AppError> {
    let plan = rows::lock_shared(txn, id).await?.ok_or(Code::NotFound)?;
    if plan.is_active {
        return Ok(plan);
    }
    let newer = rows::offered_version(txn, family(&plan)).await?.ok_or(Code::NotFound)?;
    Err(plan_changed_error(&view(newer)?))
}

/// Rejects a plan whose price differs from the one shown to the payer.
pub(super) fn check_shown(plan: &PricingPlan, asked: &Money, shown: Option<&Price>) -> Result<(), AppError> {
    let is_same = shown
        .is_none_or(|shown| shown.amount == asked.amount && shown.currency.eq_ignore_ascii_case(asked.currency.code()));
    if is_same { Ok(()) } else { Err(plan_changed_error(plan)) }
}

/// Error that carries the current version of the plan.
fn plan_changed_error(plan: &PricingPlan) -> AppError {
    AppError::detailed(Code::PlanChanged, serde_json::json!({ "plan": plan }))
}

/// Id shared by all versions of a plan.
pub(super) fn family(plan: &pricing_plan::Model) -> PlanId {
    plan.family.unwrap_or(plan.id)
}

fn row(
    definition: PlanDefinition,
    (id, family): (PlanId, Option<PlanId>),
    position: i64,
    created_at: Timestamp,
) -> Result<pricing_plan::Model, AppError> {
    let text = |value: Result<String, serde_json::Error>| value.map_err(AppError::internal);
    Ok(pricing_plan::Model {
        id,
        name: definition.name,
        kind: definition.kind,
        interval: definition.interval,
        prices: text(serde_json::to_string(&definition.prices))?,
        credits: definition.credits,
        quotas: text(serde_json::to_string(&definition.quotas))?,
        features: text(serde_json::to_string(&definition.features))?,
        trial_days: i64::from(definition.trial_days),
        is_active: definition.is_active,
        position,
        created_at,
        family,
    })
}

fn check(definition: &PlanDefinition) -> Result<(), AppError> {
    let refused = |field: &'static str, sentence: &'static str| Err(AppError::field(field, "invalid", sentence));
    let is_text = |text: &str| !text.trim().is_empty() && text.chars().count() <= MAX_TEXT && !text.contains('\0');
    if !is_text(&definition.name) {
        return refused("name", "Enter a name of up to 200 characters.");
    }
    if (definition.kind == PlanKind::Subscription) != definition.interval.is_some() {
        return refused("interval", "Subscriptions have an interval, credits have none.");
    }
    let mut seen = Vec::new();
    for price in &definition.prices {
        let Ok(currency) = price.currency.parse::<Currency>() else {
            return refused("prices", "One of the currencies isn't available on this server.");
        };
        if price.amount <= 0 || price.amount > 1_000_000_000 || seen.contains(&currency) {
            return refused("prices", "Enter one price for each currency, in its smallest unit.");
        }
        seen.push(currency);
    }
    if definition.prices.is_empty() {
        return refused("prices", "Enter at least one price.");
    }
    if !(0..=MAX_CREDITS).contains(&definition.credits.0) {
        return refused("credits", "Enter the credits in micro-credits, up to a million credits.");
    }
    if definition.trial_days > MAX_TRIAL || (definition.trial_days > 0 && definition.kind != PlanKind::Subscription) {
        return refused("trial_days", "A trial can be up to 90 days, for subscriptions only.");
    }
    if definition.quotas.values().any(|limit| *limit < 0) {
        return refused("quotas", "Enter a limit of 0 or more.");
    }
    if definition.features.len() > MAX_FEATURES || !definition.features.iter().all(|feature| is_text(feature)) {
        return refused("features", "Enter up to 20 features, each up to 200 characters.");
    }
    Ok(())
}

pub async fn create(
    service: &BillingService,
    by: &Principal,
    mut definition: PlanDefinition,
) -> Result<PricingPlan, AppError> {
    check(&definition)?;
    normalize(&mut definition);
    let position = rows::list(service.db.reader(), true).await?.iter().map(|plan| plan.position).max().unwrap_or(0) + 1;
    let new = row(definition, (PlanId::new(), None), position, service.clock.now())?;
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::insert_missing(&tx, vec![new.clone()]).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::PlanChanged, Some(new.id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    view(new)
}

/// Changes a plan. A sold plan is deactivated, and a new version is created.
pub async fn change(
    service: &BillingService,
    by: &Principal,
    id: PlanId,
    edit: impl FnOnce(&mut PlanDefinition),
) -> Result<PricingPlan, AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut old = rows::lock(&tx, id).await?.ok_or(Code::NotFound)?;
    let (position, created_at, kept) = (old.position, old.created_at, (id, old.family));
    let seen = view(old.clone())?;
    let before = PlanDefinition {
        name: seen.name,
        kind: seen.kind,
        interval: seen.interval,
        prices: seen.prices,
        credits: seen.credits,
        quotas: seen.quotas,
        features: seen.features,
        trial_days: seen.trial_days,
        is_active: seen.is_active,
    };
    let mut after = before.clone();
    edit(&mut after);
    check(&after)?;
    normalize(&mut after);
    // Only the terms are compared, because `is_active` may change without a new version.
    let is_same =
        row(PlanDefinition { is_active: before.is_active, ..after.clone() }, kept, position, created_at)? == old;
    let changed = if is_same || !rows::is_in_use(&tx, id).await? {
        let changed = row(after, kept, position, created_at)?;
        rows::store(&tx, changed.clone()).await?;
        changed
    } else {
        let family = family(&old);
        old.is_active = false;
        rows::store(&tx, old).await?;
        let new = row(after, (PlanId::new(), Some(family)), position, service.clock.now())?;
        rows::insert_missing(&tx, vec![new.clone()]).await?;
        new
    };
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::PlanChanged, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    view(changed)
}

fn normalize(definition: &mut PlanDefinition) {
    for price in &mut definition.prices {
        price.currency.make_ascii_uppercase();
    }
}

/// Inserts the default plans if there are none.
pub(crate) async fn seed(db: &Database, now: Timestamp) -> Result<(), AppError> {
    const CREDIT: i64 = 1_000_000;
    if !rows::list(db.writer(), true).await?.is_empty() {
        return Ok(());
    }
    let plan = |number: u128,
                name: &str,
                interval: Option<PlanInterval>,
                credits: i64,
                prices: [i64; 3],
                features: &[&str]| {
        let [usd, jpy, vnd] = prices;
        let price = |currency: Currency, amount| Price { currency: currency.code().to_owned(), amount };
        let definition = PlanDefinition {
            name: name.to_owned(),
            kind: if interval.is_some() { PlanKind::Subscription } else { PlanKind::Credits },
            interval,
            prices: vec![price(Currency::Usd, usd), price(Currency::Jpy, jpy), price(Currency::Vnd, vnd)],
            credits: MicroCredits(credits * CREDIT),
            quotas: BTreeMap::new(),
            features: features.iter().map(ToString::to_string).collect(),
            trial_days: 0,
            is_active: true,
        };
        // The ids are fixed, so that instances starting at the same time insert the same rows.
        row(
            definition,
            (PlanId(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 + number)), None),
            i64::try_from(number).unwrap_or(0),
            now,
        )
    };
    let (month, year) = (Some(PlanInterval::Month), Some(PlanInterval::Year));
    let plans = vec![
        plan(1, "Team", month, 2_000, [2_400, 3_600, 590_000], &["2,000 credits a month", "API keys"])?,
        plan(
            2,
            "Team",
            year,
            24_000,
            [24_000, 36_000, 5_900_000],
            &["24,000 credits for the year", "API keys", "2 months free"],
        )?,
        plan(
            3,
            "Studio",
            month,
            8_000,
            [7_900, 11_800, 1_950_000],
            &["8,000 credits a month", "API keys with budgets"],
        )?,
        plan(
            4,
            "Studio",
            year,
            96_000,
            [79_000, 118_000, 19_500_000],
            &["96,000 credits for the year", "API keys with budgets", "2 months free"],
        )?,
        plan(5, "500 credits", None, 500, [600, 900, 149_000], &["They don't expire"])?,
        plan(6, "1,000 credits", None, 1_000, [1_100, 1_650, 270_000], &["They don't expire"])?,
        plan(7, "5,000 credits", None, 5_000, [5_000, 7_500, 1_230_000], &["They don't expire"])?,
    ];
    rows::insert_missing(db.writer(), plans).await
}
