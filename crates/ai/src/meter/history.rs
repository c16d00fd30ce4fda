//! History of a call: failed attempts and repairs, for the usage log.

use std::time::Duration;

/// Maximum number of failed attempts, and of repairs, that are recorded.
const MAX_RECORDS: usize = 10;
/// Maximum length of a recorded name, in characters.
const MAX_NAME_CHARS: usize = 200;

/// Failed attempts and repairs of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallHistory {
    pub failed_attempts: Vec<FailedAttempt>,
    /// Settings by which requests were adapted after a provider's refusal, such as `images=no`.
    pub repairs: Vec<String>,
}

/// Failed attempt of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedAttempt {
    pub provider: String,
    /// Provider's name of the model.
    pub model: String,
    /// Error code, such as `provider_busy`.
    pub error: &'static str,
    pub duration: Duration,
}

impl CallHistory {
    pub(super) fn record_failure(&mut self, attempt: FailedAttempt) {
        if self.failed_attempts.len() < MAX_RECORDS {
            self.failed_attempts.push(attempt);
        }
    }

    pub(super) fn record_repairs(&mut self, settings: &[String]) {
        for setting in settings {
            let setting: String = setting.chars().take(MAX_NAME_CHARS).collect();
            if self.repairs.len() < MAX_RECORDS && !self.repairs.contains(&setting) {
                self.repairs.push(setting);
            }
        }
    }
}
