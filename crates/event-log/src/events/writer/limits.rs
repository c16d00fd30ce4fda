//! What of the configuration the writer refuses by.

use appcore::config::{self, Config};

#[derive(Clone, Debug)]
pub struct Limits {
    pub messages: config::Messages,
    /// Bytes that the files of a workspace's messages may have; 0: no limit.
    pub workspace_bytes: i64,
}

impl Limits {
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self { messages: config.messages.clone(), workspace_bytes: config.uploads.workspace_bytes }
    }
}
