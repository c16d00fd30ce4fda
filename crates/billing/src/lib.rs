//! Billing: the credit ledger, reservations for calls, entitlements and quotas, payments and subscriptions.
//!
//! Owns the rows of ledger accounts, reservations, plans, payments, payment methods and subscriptions. Payment
//! providers are behind the traits of the crate `payment`. Depends on `identity` and the crates below it; it does not
//! know what credits are spent on.

pub mod credits;
pub mod entitlements;
pub mod ledger;
pub mod payments;
pub mod reservations;
pub mod storage;
#[cfg(test)]
mod tests;
pub mod workspace_payers;

use std::{ops::Deref, sync::Arc};

use appcore::AppError;
use dbcontext::query;
use identity::IdentityService;
use platform::{Core, start_error};

use crate::{
    entitlements::EntitlementNotifier,
    payments::{Payments, balances, plans},
    reservations::Reservations,
    workspace_payers::WorkspacePayers,
};

/// State of credits, payments and subscriptions of an instance. Dereferences to [`Core`].
pub struct BillingService {
    pub core: Arc<Core>,
    pub identity: Arc<IdentityService>,
    pub payments: Payments,
    /// Reservations of calls against budgets, quotas and credits.
    pub reservations: Arc<Reservations>,
    /// Workspaces with a credit account, which pays for their members' calls.
    pub payers: WorkspacePayers,
    entitlement_notifier: EntitlementNotifier,
}

impl BillingService {
    /// Connects the payment gateways, and inserts the default plans if there are none.
    pub async fn build(identity: Arc<IdentityService>) -> anyhow::Result<Arc<Self>> {
        let core = Arc::clone(&identity.core);
        let payments = Payments::build(&core.config)?;
        let (holds, changed) = Reservations::start(core.db.clone(), core.clock.clone(), core.config.holds.expiry);
        let service = Arc::new_cyclic(|service| Self {
            core,
            identity,
            payments,
            reservations: holds,
            payers: WorkspacePayers::default(),
            entitlement_notifier: EntitlementNotifier::new(service.clone()),
        });
        if service.is_charging() {
            plans::seed(&service.db, service.clock.now()).await.map_err(start_error)?;
            service.reload_payers().await.map_err(start_error)?;
            tokio::spawn(balances::announce_changes(Arc::downgrade(&service), changed));
        }
        Ok(service)
    }

    /// Starts the background tasks: renewals, reconciliation with the payment gateways, and low-balance warnings.
    pub fn start(self: &Arc<Self>) {
        if self.is_charging() {
            tokio::spawn(payments::handle_bus_messages(Arc::downgrade(self), self.bus.subscribe()));
            tokio::spawn(payments::run_reconciliation(Arc::clone(self)));
            tokio::spawn(balances::run_sweeps(Arc::clone(self)));
        }
    }

    /// True if this installation charges for usage.
    #[must_use]
    pub fn is_charging(&self) -> bool {
        self.payments.is_charging()
    }

    /// Reloads the set of workspaces that have a credit account.
    pub async fn reload_payers(&self) -> Result<(), AppError> {
        if self.is_charging() {
            self.payers.replace(query::ledger::workspaces(self.db.writer()).await?);
        }
        Ok(())
    }
}

impl Deref for BillingService {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}
