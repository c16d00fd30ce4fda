//! The audit log: who did what to accounts, workspaces and the installation, for its administrators.
//!
//! The entry of a change is written in the change's own transaction, so that neither exists without the other. Other events, such as a failed
//! sign-in, are [recorded](note) by themselves, and a failure to do so refuses no request.

use std::{net::IpAddr, sync::Arc, time::Duration};

pub use appcore::audit::Action;
use appcore::{
    AppError, Clock, UserId,
    auth::Principal,
    page::{Page, PageRequest},
    view::AuditEntry,
};
use dbcontext::query::audit as rows;
use sea_orm::ConnectionTrait;

use crate::App;

/// How often old lines are forgotten.
const SWEEP: Duration = Duration::from_secs(3_600);
/// Lines that one statement forgets.
const SWEEP_ROWS: u64 = 1_000;
const DAY: Duration = Duration::from_secs(86_400);
/// The longest target that is kept.
const MAX_TARGET_CHARS: usize = 200;

/// One line.
#[derive(Clone, Debug)]
pub struct Entry {
    pub action: Action,
    /// `None` if the caller is not signed in, or for the program itself.
    pub actor: Option<UserId>,
    /// What it was done to: an id or a network, no personal data.
    pub target: Option<String>,
    pub address: Option<IpAddr>,
}

impl Entry {
    /// An action of a signed-in person, or of a program of theirs.
    #[must_use]
    pub fn by(by: &Principal, action: Action, target: Option<String>) -> Self {
        Self { action, actor: Some(by.user_id), target, address: by.address }
    }
}

/// Writes a line, in the caller's transaction where `db` is one.
pub async fn record<C: ConnectionTrait>(db: &C, entry: Entry) -> Result<(), AppError> {
    let Entry { action, actor, target, address } = entry;
    let new = rows::NewEntry {
        action: action.as_str(),
        actor,
        target: target.map(|target| target.chars().take(MAX_TARGET_CHARS).collect()),
        address: address.map(|address| address.to_canonical().to_string()),
        // Real time, even under a test's clock.
        at: Clock::system().now(),
    };
    rows::insert(db, new).await
}

/// Writes a line by itself. That it could not be written is only logged.
pub async fn note(app: &App, entry: Entry) {
    let action = entry.action.as_str();
    if let Err(error) = record(app.db.writer(), entry).await {
        tracing::warn!(%error, action, "a line of the audit log is missing");
    }
}

/// The log, of one action where it is named, the newest first.
pub async fn list(app: &App, action: Option<&str>, page: PageRequest) -> Result<Page<AuditEntry>, AppError> {
    let (mut items, total) = rows::list(app.db.reader(), action, page).await?;
    for entry in &mut items {
        let address = entry.address.as_deref().and_then(|address| address.parse().ok());
        entry.place = app.places.of(address, None);
    }
    Ok(Page::new(items, page, total))
}

/// Forgets what is older than so many days, as long as the program runs.
pub(crate) async fn forget_old(app: Arc<App>, days: u32) {
    let mut tick = tokio::time::interval(SWEEP);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let before = Clock::system().now().minus(DAY * days);
        loop {
            match rows::forget(app.db.writer(), before, SWEEP_ROWS).await {
                Ok(SWEEP_ROWS) => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "old lines of the audit log were not removed");
                    break;
                }
            }
        }
    }
}
