//! The answers that this instance is writing, so that a reader's wish to stop one reaches its writer.

use std::sync::Arc;

use appcore::MessageId;
use dashmap::DashMap;
use tokio_util::sync::CancellationToken;

#[derive(Default)]
pub(super) struct Watched(Arc<DashMap<MessageId, CancellationToken>>);

/// Held while an answer is written; forgotten when dropped.
pub struct Watch {
    answer: MessageId,
    token: CancellationToken,
    watched: Arc<DashMap<MessageId, CancellationToken>>,
}

impl Watched {
    pub(super) fn add(&self, answer: MessageId) -> Watch {
        let token = CancellationToken::new();
        self.0.insert(answer, token.clone());
        Watch { answer, token, watched: Arc::clone(&self.0) }
    }

    pub(super) fn stop(&self, answer: MessageId) {
        if let Some(token) = self.0.get(&answer) {
            token.cancel();
        }
    }
}

impl Watch {
    /// Cancelled when a reader wants the answer to stop.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watched.remove(&self.answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_reaches_the_answer_that_is_meant_and_no_other() {
        let watched = Watched::default();
        let (first, second) = (watched.add(MessageId::new()), watched.add(MessageId::new()));
        watched.stop(first.answer);
        watched.stop(MessageId::new());
        assert!(first.token().is_cancelled());
        assert!(!second.token().is_cancelled());
        drop((first, second));
        assert!(watched.0.is_empty());
    }
}
