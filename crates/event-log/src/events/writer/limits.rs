//! Configured limits that the writer enforces.

use appcore::config::{self, Config};

#[derive(Clone, Debug)]
pub struct Limits {
    pub messages: config::Messages,
    /// Limit for the files in the messages of a workspace, in bytes; 0 means unlimited.
    pub workspace_bytes: i64,
}

impl Limits {
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        Self { messages: config.messages.clone(), workspace_bytes: config.uploads.workspace_bytes }
    }
}
