//! What somebody may use: their plan, their credits, and what is left of quotas.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    time::Duration,
};

use appcore::{
    AppError, Timestamp, UserId,
    event::{BusMessage, Envelope, Event, Topic},
    view::{CurrentPlan, Entitlements, QuotaMetric, QuotaUse},
};
use dbcontext::{
    Database,
    query::{plans as plan_rows, usage},
};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{App, ledger};

/// How often one person is told at most.
const PACE: Duration = Duration::from_secs(1);
/// In milliseconds.
const DAY: i64 = 86_400_000;

/// Whom there is something to tell.
#[derive(Default)]
pub struct Tellings {
    /// Those who were told within the last second, and whether there is more to tell since.
    recent: Mutex<HashMap<UserId, bool>>,
    /// The instance, for what is told later.
    app: OnceLock<Weak<App>>,
}

impl Tellings {
    pub(crate) fn serve(&self, app: &Arc<App>) {
        // It is built once.
        let _ = self.app.set(Arc::downgrade(app));
    }

    /// Whether somebody can be told now; otherwise they are told at the end of their second.
    fn begin(&self, user_id: UserId) -> bool {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        match recent.get_mut(&user_id) {
            Some(more) => {
                *more = true;
                false
            }
            None => {
                recent.insert(user_id, false);
                true
            }
        }
    }

    /// Whether there is more to tell at the end of a second.
    fn goes_on(&self, user_id: UserId) -> bool {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let more = recent.get_mut(&user_id).is_some_and(std::mem::take);
        if !more {
            recent.remove(&user_id);
        }
        more
    }
}

/// What somebody has.
pub async fn read(app: &App, user_id: UserId) -> Result<Entitlements, AppError> {
    if !app.payments.is_charging() {
        return Ok(Entitlements { plan: None, credits: None, quotas: Vec::new(), trial_ends_at: None });
    }
    let now = app.clock.now();
    let subscription = plan_rows::subscription(app.db.reader(), user_id).await?.filter(|row| row.ends_at > now);
    let plan = match subscription {
        Some(row) => plan_rows::by_id(app.db.reader(), row.plan_id).await?.map(|plan| CurrentPlan {
            id: plan.id,
            name: plan.name,
            renews_at: None,
            cancel_at: Some(row.ends_at),
        }),
        None => None,
    };
    let (credits, quotas) = (ledger::credits(app, user_id).await?, quotas(&app.db, user_id, now).await?);
    Ok(Entitlements { plan, credits: Some(credits), quotas, trial_ends_at: None })
}

/// What the plan allows in a day (of UTC), and what was used of it. What is under way isn't counted yet.
async fn quotas(db: &Database, user_id: UserId, now: Timestamp) -> Result<Vec<QuotaUse>, AppError> {
    let Some(text) = plan_rows::quotas_of(db.reader(), user_id, now).await? else { return Ok(Vec::new()) };
    let limits: BTreeMap<QuotaMetric, i64> = serde_json::from_str(&text).map_err(AppError::internal)?;
    if limits.is_empty() {
        return Ok(Vec::new());
    }
    let today = Timestamp(now.0.div_euclid(DAY) * DAY);
    let used = usage::of_day(db.reader(), user_id, today).await?;
    let quota = |(metric, limit)| {
        let used = match metric {
            QuotaMetric::Answers => used.answers,
            QuotaMetric::GatewayCalls => used.calls,
            QuotaMetric::Tokens => used.tokens,
        };
        QuotaUse { metric, used, limit, resets_at: Timestamp(today.0 + DAY) }
    };
    Ok(limits.into_iter().map(quota).collect())
}

/// The quota that keeps somebody from asking a model: for an answer in a chat, or by a program.
pub(crate) async fn reached(
    db: &Database,
    user_id: UserId,
    now: Timestamp,
    is_answer: bool,
) -> Result<Option<QuotaUse>, AppError> {
    let counts = |metric| match metric {
        QuotaMetric::Answers => is_answer,
        QuotaMetric::GatewayCalls => !is_answer,
        QuotaMetric::Tokens => true,
    };
    Ok(quotas(db, user_id, now).await?.into_iter().find(|quota| counts(quota.metric) && quota.used >= quota.limit))
}

/// Tells people whose account has changed.
pub(crate) async fn follow(app: Weak<App>, mut changed: mpsc::UnboundedReceiver<Uuid>) {
    while let Some(account) = changed.recv().await {
        let Some(app) = app.upgrade() else { return };
        tell(&app, UserId(account));
    }
}

/// Tells somebody's own connections what they have now, at most once a second.
pub(crate) fn tell(app: &App, user_id: UserId) {
    let Some(app) = app.tellings.app.get().and_then(Weak::upgrade) else { return };
    if !app.tellings.begin(user_id) {
        return;
    }
    tokio::spawn(async move {
        loop {
            match read(&app, user_id).await {
                Ok(entitlements) => publish(&app, user_id, entitlements),
                Err(error) => tracing::warn!(%error, "somebody could not be told what they have"),
            }
            tokio::time::sleep(PACE).await;
            if !app.tellings.goes_on(user_id) {
                return;
            }
        }
    });
}

fn publish(app: &App, user_id: UserId, entitlements: Entitlements) {
    let Entitlements { plan, credits, quotas, trial_ends_at } = entitlements;
    let event = Event::QuotaUpdated { plan, credits, quotas, trial_ends_at };
    match Envelope::seal(&event, Topic::User(user_id), app.clock.now()) {
        Ok(envelope) => drop(app.bus.publish(vec![BusMessage::Envelope(envelope.into())])),
        Err(error) => tracing::error!(%error, "what somebody has could not be sealed"),
    }
}
