//! Money: the ledger of credits, what is held of them for calls, entitlements and quotas, payments and subscriptions.
//!
//! Owns the rows of ledger accounts, holds, plans, payments, payment methods and subscriptions. Payment providers are behind the traits of the crate
//! `payment`. Uses `identity` and what stands below it; it doesn't know what credits are spent on.

pub mod credits;
pub mod entitlements;
pub mod reservations;
pub mod ledger;
pub mod workspace_payers;
pub mod payments;
pub mod storage;
#[cfg(test)]
mod tests;

use std::{ops::Deref, sync::Arc};

use appcore::AppError;
use dbcontext::query;
use identity::IdentityService;
use platform::{Core, start_error};

use crate::{
    entitlements::EntitlementNotifier,
    reservations::Reservations,
    workspace_payers::WorkspacePayers,
    payments::{Payments, balances, plans},
};

/// State of credits, payments and subscriptions of an instance. Dereferences to [`Core`].
pub struct BillingService {
    pub core: Arc<Core>,
    pub identity: Arc<IdentityService>,
    pub payments: Payments,
    /// Holds of calls in budgets, quotas and credits.
    pub reservations: Arc<Reservations>,
    /// Workspaces whose credits pay for their members' calls.
    pub payers: WorkspacePayers,
    entitlement_notifier: EntitlementNotifier,
}

impl BillingService {
    /// Connects the payment gateways, and stores the plans of an installation that has none.
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
            tokio::spawn(balances::follow(Arc::downgrade(&service), changed));
        }
        Ok(service)
    }

    /// Starts what runs until the instance stops: renewals, reconciliation with the payment gateways, and warnings of low balances.
    pub fn start(self: &Arc<Self>) {
        if self.is_charging() {
            tokio::spawn(payments::follow(Arc::downgrade(self), self.bus.subscribe()));
            tokio::spawn(payments::keep(Arc::clone(self)));
            tokio::spawn(balances::keep(Arc::clone(self)));
        }
    }

    /// Whether this installation charges for anything.
    #[must_use]
    pub fn is_charging(&self) -> bool {
        self.payments.is_charging()
    }

    /// Reads anew which workspaces have an account of credits.
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
