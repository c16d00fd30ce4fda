//! The workspaces that have accounts of credits: what is used in them is paid from there, where there is enough.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use appcore::{WorkspaceId, credits::MicroCredits};
use tokio::time::Instant;
use uuid::Uuid;

/// An account that had too little is not asked for as much again in this time: its members' calls don't each wait for two transactions.
const REST: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct WorkspacePayers(RwLock<HashMap<Uuid, Option<Shortfall>>>);

/// An account had less than this.
#[derive(Clone, Copy, Debug)]
struct Shortfall {
    amount: MicroCredits,
    until: Instant,
}

impl WorkspacePayers {
    /// These have accounts.
    pub fn replace(&self, accounts: Vec<Uuid>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *known);
        *known = accounts.into_iter().map(|id| (id, before.get(&id).copied().flatten())).collect();
    }

    /// This one has, and perhaps more on it than before.
    pub fn add(&self, id: WorkspaceId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(id.0, None);
    }

    pub fn knows(&self, id: WorkspaceId) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains_key(&id.0)
    }

    /// Whether a workspace's account is to be asked for an amount.
    pub fn may_pay(&self, id: WorkspaceId, amount: MicroCredits, now: Instant) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let rests = |shortfall: &Shortfall| now < shortfall.until && amount >= shortfall.amount;
        known.get(&id.0).is_some_and(|shortfall| !shortfall.as_ref().is_some_and(rests))
    }

    /// An account has less than this.
    pub fn fell_short(&self, account: Uuid, amount: MicroCredits, now: Instant) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(shortfall) = known.get_mut(&account) {
            *shortfall = Some(Shortfall { amount, until: now + REST });
        }
    }

    /// What is known of this account's shortfall may not be so any more.
    pub fn look_again(&self, ids: &[Uuid]) {
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
    async fn an_account_that_had_too_little_rests_for_as_much_until_there_is_news() {
        let (payers, id) = (WorkspacePayers::default(), WorkspaceId::new());
        let may = |amount| payers.may_pay(id, MicroCredits(amount), Instant::now());
        assert!(!may(1), "it has no account");
        payers.fell_short(id.0, MicroCredits(1), Instant::now());
        assert!(!may(1));
        payers.replace(vec![id.0]);
        assert!(may(1_000));
        payers.fell_short(id.0, MicroCredits(100), Instant::now());
        assert!(may(99) && !may(100) && !may(101));
        payers.replace(vec![id.0]);
        assert!(!may(100), "that it is there is no news");
        tokio::time::advance(REST).await;
        assert!(may(100));
        payers.fell_short(id.0, MicroCredits(100), Instant::now());
        payers.look_again(&[id.0]);
        assert!(may(100));
        payers.fell_short(id.0, MicroCredits(100), Instant::now());
        payers.add(id);
        assert!(may(100));
        payers.replace(Vec::new());
        assert!(!may(1));
    }
}
