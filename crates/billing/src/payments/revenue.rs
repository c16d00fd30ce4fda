//! Revenue report for administrators.

use std::collections::BTreeMap;

use ::payment::SubscriptionState;
use appcore::{
    AppError, PlanId, Timestamp,
    credits::MicroCredits,
    view::{
        PlanInterval, Price, PricingPlan, Revenue, RevenueCredits, RevenueGroup, RevenueGrouping, RevenueMoney,
        RevenueSum, SubscriptionCounts,
    },
};
use dbcontext::query::{
    plans as plan_rows,
    revenue::{self as rows, DailyAmount, DailyCredits, PlanSubscriptions},
};
use time::Date;

use super::plans;
use crate::{BillingService, ledger::EntryKind};

const DAY: i64 = 86_400_000;
/// Default period of the report.
const DEFAULT_DAYS: i64 = 30;
const DEFAULT_MONTHS: usize = 12;
/// Maximum number of groups in a report.
const MAX_DAYS: usize = 366;
const MAX_MONTHS: usize = 60;

/// Reports the revenue of the given whole days or months.
pub async fn revenue(
    service: &BillingService,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    grouping: RevenueGrouping,
) -> Result<Revenue, AppError> {
    let now = service.clock.now();
    let keys = keys(from, to, grouping, now)?;
    let (Some((first, _)), Some((last, _))) = (keys.first(), keys.last()) else {
        return Err(AppError::field("from", "invalid", "The start must be before the end."));
    };
    let (from, to) = (Timestamp(first * DAY), Timestamp((last + 1) * DAY));
    let db = service.db.reader();
    let mut sums: BTreeMap<&str, GroupSum> = keys.iter().map(|(_, key)| (key.as_str(), GroupSum::default())).collect();
    let names: BTreeMap<i64, &str> = keys.iter().map(|(day, key)| (*day, key.as_str())).collect();
    let mut total = GroupSum::default();
    let mut add = |day: i64, change: &dyn Fn(&mut GroupSum)| {
        if let Some(sum) = names.get(&day).and_then(|key| sums.get_mut(key)) {
            change(sum);
            change(&mut total);
        }
    };
    for row in rows::paid(db, from, to).await? {
        let DailyAmount { day, currency, amount, count } = row;
        add(day, &|sum| {
            let money = sum.entry(&currency);
            money.paid += amount;
            money.payments += count;
        });
    }
    for DailyAmount { day, currency, amount, .. } in rows::refunded(db, from, to).await? {
        add(day, &|sum| sum.entry(&currency).refunded += amount);
    }
    for DailyAmount { day, currency, amount, .. } in rows::disputed(db, from, to).await? {
        add(day, &|sum| sum.entry(&currency).disputed += amount);
    }
    for DailyCredits { day, kind, amount } in rows::booked(db, from, to).await? {
        let kind: EntryKind = kind.parse().map_err(AppError::internal)?;
        add(day, &|sum| sum.add_entry(kind, amount));
    }
    let groups = sums.into_iter().map(|(key, sum)| {
        let RevenueSum { money, credits } = sum.view();
        RevenueGroup { key: key.to_owned(), money, credits }
    });
    let (groups, total) = (groups.collect(), total.view());
    let subscribed = rows::subscribed(db, now).await?.into_iter();
    let subscribed: Vec<(SubscriptionState, PlanSubscriptions)> =
        subscribed.map(|row| state(&row).map(|state| (state, row))).collect::<Result<_, AppError>>()?;
    let mut ids: Vec<PlanId> = subscribed.iter().map(|(_, row)| row.plan_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut known = BTreeMap::new();
    for row in plan_rows::by_ids(db, ids).await? {
        known.insert(row.id, plans::view(row)?);
    }
    let outstanding = rows::outstanding(db).await?;
    Ok(Revenue {
        groups,
        total,
        subscriptions: counts(&subscribed),
        mrr: monthly(&subscribed, &known),
        credits_outstanding: outstanding.balance,
        credits_owed: outstanding.owed,
    })
}

/// Sums of one group.
#[derive(Debug, Default)]
struct GroupSum {
    money: BTreeMap<String, RevenueMoney>,
    credits: RevenueCredits,
}

impl GroupSum {
    fn entry(&mut self, currency: &str) -> &mut RevenueMoney {
        let new = || RevenueMoney { currency: currency.to_owned(), ..RevenueMoney::default() };
        self.money.entry(currency.to_owned()).or_insert_with(new)
    }

    fn add_entry(&mut self, kind: EntryKind, amount: MicroCredits) {
        let RevenueCredits { sold, granted, used, expired, clawed_back } = &mut self.credits;
        match kind {
            EntryKind::Purchase => *sold += amount,
            EntryKind::Grant => *granted += amount,
            EntryKind::Settle => *used += amount,
            EntryKind::Expire => *expired += amount,
            EntryKind::Refund | EntryKind::Dispute | EntryKind::Take => *clawed_back += amount,
            EntryKind::RefundFailed | EntryKind::DisputeWon => *clawed_back = *clawed_back - amount,
            // Debts and reservations don't count as revenue.
            EntryKind::Owed | EntryKind::OwedPaid | EntryKind::Hold | EntryKind::Release => {}
        }
    }

    fn view(self) -> RevenueSum {
        let net = |mut money: RevenueMoney| {
            money.net = money.paid - money.refunded - money.disputed;
            money
        };
        RevenueSum { money: self.money.into_values().map(net).collect(), credits: self.credits }
    }
}

/// Days of the report (since 1970), each with its group name.
fn keys(
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    grouping: RevenueGrouping,
    now: Timestamp,
) -> Result<Vec<(i64, String)>, AppError> {
    let refused = |message: &'static str| AppError::field("from", "invalid", message);
    let day_of = |at: Timestamp| at.0.div_euclid(DAY);
    // The end of the requested period is exclusive.
    let end = to.map_or_else(|| day_of(now) + 1, |to| day_of(Timestamp(to.0.saturating_sub(1))) + 1);
    let (most, begin) = match (grouping, from) {
        (RevenueGrouping::Day, from) => (MAX_DAYS, from.map_or(end - DEFAULT_DAYS, day_of)),
        (RevenueGrouping::Month, from) => {
            let months = if from.is_some() { 1 } else { DEFAULT_MONTHS };
            let first = date(from.map_or(end - 1, day_of)).and_then(|date| month_before(date, months - 1));
            (MAX_MONTHS, first.and_then(day_number).ok_or_else(|| refused("This month doesn't exist."))?)
        }
    };
    if begin >= end {
        return Err(refused("The start must be before the end."));
    }
    let too_many = || refused("Choose a shorter period.");
    if end - begin > i64::try_from(most * 31).unwrap_or(i64::MAX) {
        return Err(too_many());
    }
    let mut keys = Vec::new();
    let mut groups = 0;
    for day in begin..end {
        let date = date(day).ok_or_else(|| refused("This day doesn't exist."))?;
        let (year, month) = (date.year(), u8::from(date.month()));
        let key = match grouping {
            RevenueGrouping::Day => format!("{year:04}-{month:02}-{:02}", date.day()),
            RevenueGrouping::Month => format!("{year:04}-{month:02}"),
        };
        if keys.last().is_none_or(|(_, last)| *last != key) {
            groups += 1;
        }
        keys.push((day, key));
    }
    if groups > most { Err(too_many()) } else { Ok(keys) }
}

/// Converts days since 1970 to a date.
fn date(day: i64) -> Option<Date> {
    let epoch = Date::from_ordinal_date(1970, 1).ok()?;
    epoch.checked_add(time::Duration::days(day))
}

fn day_number(date: Date) -> Option<i64> {
    let epoch = Date::from_ordinal_date(1970, 1).ok()?;
    Some(i64::from(date.to_julian_day() - epoch.to_julian_day()))
}

/// First day of the month that is `months` before the month of `date`.
fn month_before(date: Date, months: usize) -> Option<Date> {
    let mut first = date.replace_day(1).ok()?;
    for _ in 0..months {
        first = first.previous_day()?.replace_day(1).ok()?;
    }
    Some(first)
}

fn state(row: &PlanSubscriptions) -> Result<SubscriptionState, AppError> {
    row.state.parse().map_err(AppError::internal)
}

fn counts(subscribed: &[(SubscriptionState, PlanSubscriptions)]) -> SubscriptionCounts {
    let mut counts = SubscriptionCounts::default();
    for (state, row) in subscribed {
        match state {
            SubscriptionState::Active => counts.active += row.count,
            SubscriptionState::Trialing => counts.trialing += row.count,
            SubscriptionState::PastDue => counts.past_due += row.count,
            SubscriptionState::Canceling => counts.canceling += row.count,
            SubscriptionState::Ended => {}
        }
    }
    counts
}

/// Monthly recurring revenue of the active and past-due subscriptions, by currency.
fn monthly(subscribed: &[(SubscriptionState, PlanSubscriptions)], plans: &BTreeMap<PlanId, PricingPlan>) -> Vec<Price> {
    // Amounts are summed per year, so that prices that aren't divisible by twelve aren't rounded one by one.
    let mut yearly: BTreeMap<&str, i64> = BTreeMap::new();
    for (state, row) in subscribed {
        if !matches!(state, SubscriptionState::Active | SubscriptionState::PastDue) {
            continue;
        }
        let (Some(plan), Some(currency)) = (plans.get(&row.plan_id), row.currency.as_deref()) else { continue };
        let Some(price) = plan.prices.iter().find(|price| price.currency == currency) else { continue };
        let times = if plan.interval == Some(PlanInterval::Year) { 1 } else { 12 };
        let amount = price.amount.saturating_mul(row.seats).saturating_mul(times);
        let sum = yearly.entry(currency).or_default();
        *sum = sum.saturating_add(amount);
    }
    let price = |(currency, amount): (&str, i64)| Price { currency: currency.to_owned(), amount: amount / 12 };
    yearly.into_iter().map(price).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(from: Option<&str>, to: Option<&str>, grouping: RevenueGrouping) -> Result<Vec<String>, AppError> {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let keys = keys(from.map(at), to.map(at), grouping, at("2026-11-23T12:00:00Z"))?;
        let mut names: Vec<String> = keys.into_iter().map(|(_, key)| key).collect();
        names.dedup();
        Ok(names)
    }

    #[test]
    fn groups_are_whole_days_or_months_and_limited() {
        let (day, month) = (RevenueGrouping::Day, RevenueGrouping::Month);
        let usual = names(None, None, day).unwrap();
        assert_eq!((usual.len(), usual[0].as_str(), usual[29].as_str()), (30, "2026-10-25", "2026-11-23"));
        let usual = names(None, None, month).unwrap();
        assert_eq!((usual.len(), usual[0].as_str(), usual[11].as_str()), (12, "2025-12", "2026-11"));
        let two = names(Some("2026-02-28T23:00:00Z"), Some("2026-03-02T00:00:00Z"), day).unwrap();
        assert_eq!(two, ["2026-02-28", "2026-03-01"]);
        assert_eq!(
            names(Some("2026-02-28T23:00:00Z"), Some("2026-03-01T00:00:00.001Z"), month).unwrap(),
            ["2026-02", "2026-03"]
        );
        for (from, to, grouping) in [
            ("2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", day),
            ("2026-03-01T00:00:00Z", "2025-03-01T00:00:00Z", month),
            ("2025-01-01T00:00:00Z", "2026-01-03T00:00:00Z", day),
            ("2020-01-01T00:00:00Z", "2025-01-02T00:00:00Z", month),
            ("0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z", month),
        ] {
            assert!(names(Some(from), Some(to), grouping).is_err(), "{from} {to}");
        }
    }

    #[test]
    fn yearly_plans_count_a_twelfth() {
        let plan = |interval, amount| PricingPlan {
            id: PlanId::new(),
            name: "Team".to_owned(),
            kind: appcore::view::PlanKind::Subscription,
            interval: Some(interval),
            prices: vec![Price { currency: "USD".to_owned(), amount }],
            credits: MicroCredits::ZERO,
            quotas: BTreeMap::new(),
            features: Vec::new(),
            trial_days: 0,
            is_active: true,
        };
        let (month, year) = (plan(PlanInterval::Month, 2_400), plan(PlanInterval::Year, 24_010));
        let row = |plan: &PricingPlan, state: SubscriptionState, seats| {
            let (plan_id, currency) = (plan.id, Some("USD".to_owned()));
            (state, PlanSubscriptions { state: state.to_string(), plan_id, currency, count: 1, seats })
        };
        let rows = [
            row(&month, SubscriptionState::Active, 3),
            row(&year, SubscriptionState::PastDue, 1),
            row(&month, SubscriptionState::Canceling, 5),
            row(&month, SubscriptionState::Trialing, 5),
        ];
        let plans = BTreeMap::from([(month.id, month), (year.id, year)]);
        assert_eq!(monthly(&rows, &plans), [Price { currency: "USD".to_owned(), amount: 3 * 2_400 + 2_000 }]);
        let counted = counts(&rows);
        assert_eq!((counted.active, counted.past_due, counted.canceling, counted.trialing), (1, 1, 1, 1));
    }
}
