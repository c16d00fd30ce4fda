//! Details of a request in the usage log: failed attempts, repairs, and the reason of a refusal.

use ::ai::CallHistory;
use appcore::view::{BudgetScope, UsageAttempt, UsageRefusal};
use platform::rate_limits::KeyMeasure;
use serde::{Deserialize, Serialize};

use crate::{Refusal, usage_row::millis};

/// Details as the column `details` stores them.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct CallDetails {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed_attempts: Vec<UsageAttempt>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<UsageRefusal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_price_percent: Option<u8>,
}

impl CallDetails {
    /// Details of a refused request.
    pub fn refused(refusal: &Refusal) -> Self {
        Self { refusal: reason(refusal), ..Self::default() }
    }

    /// Parses stored details. Unreadable ones count as none.
    pub fn parse(stored: Option<&str>) -> Self {
        stored.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// Encodes the details for storage; `None` if there are none.
    pub fn to_stored(&self) -> Option<String> {
        if *self == Self::default() { None } else { serde_json::to_string(self).ok() }
    }
}

impl From<CallHistory> for CallDetails {
    fn from(CallHistory { failed_attempts, repairs }: CallHistory) -> Self {
        let failed_attempts = failed_attempts.into_iter().map(|failed| UsageAttempt {
            provider: failed.provider,
            model: failed.model,
            error: failed.error.to_owned(),
            duration_ms: u64::try_from(millis(failed.duration)).unwrap_or_default(),
        });
        Self { failed_attempts: failed_attempts.collect(), repairs, ..Self::default() }
    }
}

/// Reason of a refusal. `None` if it isn't recorded.
fn reason(refusal: &Refusal) -> Option<UsageRefusal> {
    Some(match refusal {
        Refusal::ScopeMissing | Refusal::EndpointNotAllowed | Refusal::UnknownModel(_) => return None,
        Refusal::NoPrice(_) => UsageRefusal::NoPrice,
        Refusal::RateLimited(exceeded) => match exceeded.measure {
            KeyMeasure::Requests => UsageRefusal::RequestsPerMinute,
            KeyMeasure::Tokens => UsageRefusal::TokensPerMinute,
            KeyMeasure::Parallel => UsageRefusal::ParallelRequests,
        },
        Refusal::OutOfBudget(used_up) => match used_up.scope {
            BudgetScope::Key => UsageRefusal::KeyBudget,
            BudgetScope::User => UsageRefusal::UserBudget,
            BudgetScope::Workspace => UsageRefusal::WorkspaceBudget,
            BudgetScope::EndUser => UsageRefusal::EndUserBudget,
            BudgetScope::Model => UsageRefusal::ModelBudget,
            BudgetScope::Tag => UsageRefusal::TagBudget,
        },
        Refusal::OutOfCredits => UsageRefusal::Credits,
        Refusal::QuotaReached(_) => UsageRefusal::Quota,
        Refusal::Failed(_) => UsageRefusal::Unavailable,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ::ai::FailedAttempt;

    use super::*;

    #[test]
    fn survives_storage() {
        let failed = FailedAttempt {
            provider: "main".to_owned(),
            model: "small".to_owned(),
            error: "provider_busy",
            duration: Duration::from_millis(12),
        };
        let history = CallHistory { failed_attempts: vec![failed], repairs: vec!["images=no".to_owned()] };
        let details = CallDetails::from(history);
        assert_eq!(CallDetails::parse(details.to_stored().as_deref()), details);
        assert_eq!(details.failed_attempts[0].duration_ms, 12);
        let refused = CallDetails::refused(&Refusal::OutOfCredits);
        assert_eq!(refused.to_stored().as_deref(), Some(r#"{"refusal":"credits"}"#));
        assert_eq!(CallDetails::from(CallHistory::default()).to_stored(), None);
        assert_eq!(CallDetails::parse(Some("{")), CallDetails::default());
    }
}
