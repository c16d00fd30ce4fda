//! Service accounts.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Budget;
use crate::{Timestamp, UserId};

/// Owner of API keys that is not a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceAccount {
    /// Id in the place of a user's in usage, budgets, model lists and the ledger.
    pub id: UserId,
    pub name: String,
    pub description: String,
    /// False if all keys are refused.
    pub enabled: bool,
    /// Responsible person; null if there is none, or if their account was deleted.
    pub contact: Option<ServiceAccountContact>,
    /// Budget of all keys together.
    pub budget: Option<Budget>,
    /// Number of API keys.
    pub keys: u64,
    /// Last use of a key, accurate to the minute.
    pub last_used_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

/// Person who is responsible for a service account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceAccountContact {
    pub id: UserId,
    pub display_name: String,
    pub email: String,
}
