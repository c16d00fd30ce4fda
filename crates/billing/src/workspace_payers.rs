//! Workspaces with a credit account. The account pays for the members' calls if its balance suffices.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use appcore::{WorkspaceId, credits::MicroCredits};
use tokio::time::Instant;
use uuid::Uuid;

/// Time during which an account that could not pay an amount is not tried for the same or a larger one. This saves two
/// transactions per call.
const SHORTFALL_TTL: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct WorkspacePayers(RwLock<HashMap<Uuid, Option<Shortfall>>>);

/// Amount that an account could not pay.
#[derive(Clone, Copy, Debug)]
struct Shortfall {
    amount: MicroCredits,
    until: Instant,
}

impl WorkspacePayers {
    /// Replaces the set of accounts, and keeps the known shortfalls.
    pub fn replace(&self, accounts: Vec<Uuid>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *known);
        *known = accounts.into_iter().map(|id| (id, before.get(&id).copied().flatten())).collect();
    }

    /// Adds an account, and clears its shortfall because its balance may have grown.
    pub fn add(&self, id: WorkspaceId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(id.0, None);
    }

    pub fn contains(&self, id: WorkspaceId) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains_key(&id.0)
    }

    /// True if the workspace's account should be tried for an amount.
    pub fn should_try(&self, id: WorkspaceId, amount: MicroCredits, now: Instant) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let rests = |shortfall: &Shortfall| now < shortfall.until && amount >= shortfall.amount;
        known.get(&id.0).is_some_and(|shortfall| !shortfall.as_ref().is_some_and(rests))
    }

    /// Records that an account has less than `amount`.
    pub fn record_shortfall(&self, account: Uuid, amount: MicroCredits, now: Instant) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(shortfall) = known.get_mut(&account) {
            *shortfall = Some(Shortfall { amount, until: now + SHORTFALL_TTL });
        }
    }

    /// Clears the shortfalls of these accounts.
    pub fn clear_shortfalls(&self, ids: &[Uuid]) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            if let Some(shortfall) = known.get_mut(id) {
                *shortfall = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn short_account_is_skipped_for_the_same_amount_until_it_changes() {
        let (payers, id) = (WorkspacePayers::default(), WorkspaceId::new());
        let may = |amount| payers.should_try(id, MicroCredits(amount), Instant::now());
        assert!(!may(1), "no account");
        payers.record_shortfall(id.0, MicroCredits(1), Instant::now());
        assert!(!may(1));
        payers.replace(vec![id.0]);
        assert!(may(1_000));
        payers.record_shortfall(id.0, MicroCredits(100), Instant::now());
        assert!(may(99) && !may(100) && !may(101));
        payers.replace(vec![id.0]);
        assert!(!may(100), "reloading the set keeps the shortfall");
        tokio::time::advance(SHORTFALL_TTL).await;
        assert!(may(100));
        payers.record_shortfall(id.0, MicroCredits(100), Instant::now());
        payers.clear_shortfalls(&[id.0]);
        assert!(may(100));
        payers.record_shortfall(id.0, MicroCredits(100), Instant::now());
        payers.add(id);
        assert!(may(100));
        payers.replace(Vec::new());
        assert!(!may(1));
    }
}
