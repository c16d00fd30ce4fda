//! Registry of the answers in progress on this instance, which delivers stop requests to them.

use std::sync::Arc;

use appcore::MessageId;
use dashmap::DashMap;
use tokio_util::sync::CancellationToken;

#[derive(Default)]
pub(super) struct StopRegistry(Arc<DashMap<MessageId, CancellationToken>>);

/// Registration of an answer in progress; removed on drop.
pub struct StopRegistration {
    answer: MessageId,
    token: CancellationToken,
    watched: Arc<DashMap<MessageId, CancellationToken>>,
}

impl StopRegistry {
    pub(super) fn register(&self, answer: MessageId) -> StopRegistration {
        let token = CancellationToken::new();
        self.0.insert(answer, token.clone());
        StopRegistration { answer, token, watched: Arc::clone(&self.0) }
    }

    pub(super) fn stop(&self, answer: MessageId) {
        if let Some(token) = self.0.get(&answer) {
            token.cancel();
        }
    }
}

impl StopRegistration {
    /// Token that is cancelled by a stop request.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }
}

impl Drop for StopRegistration {
    fn drop(&mut self) {
        self.watched.remove(&self.answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_cancels_only_the_given_answer() {
        let watched = StopRegistry::default();
        let (first, second) = (watched.register(MessageId::new()), watched.register(MessageId::new()));
        watched.stop(first.answer);
        watched.stop(MessageId::new());
        assert!(first.token().is_cancelled());
        assert!(!second.token().is_cancelled());
        drop((first, second));
        assert!(watched.0.is_empty());
    }
}
