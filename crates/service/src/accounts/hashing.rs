//! Password hashing, off the threads that answer, a bounded number at a time.
//!
//! Each hash takes a core and 19 MiB for some 20 ms. More at once than there are cores makes all of them slower, and a
//! flood of sign-ins would take the memory: so they queue, and when the queue is long the next is told to come again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use appcore::{
    AppError, Code,
    auth::password::{self, PasswordCheck},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// How long a hash may wait for its turn.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// How many may wait for each core: what a core gets done in that time, about.
const MAX_QUEUE_PER_CORE: usize = 200;
/// When to come again after having been turned away.
const RETRY_AFTER: Duration = Duration::from_secs(3);

pub(super) struct Hashing {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    max_waiting: usize,
}

impl Hashing {
    pub(super) fn new() -> Self {
        Self::with(std::thread::available_parallelism().map_or(1, usize::from), MAX_QUEUE_PER_CORE)
    }

    fn with(cores: usize, queue_per_core: usize) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(cores)),
            waiting: AtomicUsize::new(0),
            max_waiting: cores * queue_per_core,
        }
    }

    pub(super) async fn hash(&self, text: String) -> Result<String, AppError> {
        self.run(move || password::hash(&text)).await
    }

    /// Takes as long when nothing is stored.
    pub(super) async fn verify(&self, text: String, stored: Option<String>) -> Result<PasswordCheck, AppError> {
        self.run(move || password::verify(&text, stored.as_deref())).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T, AppError> {
        let turn = self.turn().await?;
        let done = tokio::task::spawn_blocking(move || {
            // The turn ends with the work, also where the caller has gone away meanwhile.
            let _turn = turn;
            work()
        });
        done.await.map_err(AppError::internal)?.map_err(AppError::internal)
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, AppError> {
        if let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() {
            return Ok(turn);
        }
        let _slot = QueueSlot::take(&self.waiting, self.max_waiting).ok_or_else(busy)?;
        match timeout(MAX_WAIT, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(closed)) => Err(AppError::internal(closed)),
            Err(_) => Err(busy()),
        }
    }
}

/// A place in the queue, given up when it is dropped.
struct QueueSlot<'a>(&'a AtomicUsize);

impl<'a> QueueSlot<'a> {
    fn take(waiting: &'a AtomicUsize, max: usize) -> Option<Self> {
        let slot = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < max).then_some(slot)
    }
}

impl Drop for QueueSlot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn busy() -> AppError {
    AppError::Refused {
        code: Code::Unavailable,
        message: Some("Many people are signing in right now. Try again in a few seconds.".into()),
        retry_after: Some(RETRY_AFTER),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::stage::until, *};

    #[tokio::test]
    async fn a_full_queue_turns_away_at_once_and_a_freed_turn_is_taken() {
        let hashing = Arc::new(Hashing::with(1, 1));
        let turn = hashing.turn().await.unwrap();
        let second = tokio::spawn({
            let hashing = Arc::clone(&hashing);
            async move { hashing.turn().await.map(drop) }
        });
        until(async || hashing.waiting.load(Ordering::Relaxed) == 1).await;
        let refused = hashing.turn().await.map(drop).unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        assert_eq!(refused.retry_after(), Some(RETRY_AFTER));
        drop(turn);
        second.await.unwrap().unwrap();
        assert_eq!(hashing.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_has_an_end() {
        let hashing = Hashing::with(1, 1);
        let _turn = hashing.turn().await.unwrap();
        assert_eq!(hashing.turn().await.map(drop).unwrap_err().code(), Code::Unavailable);
        assert_eq!(hashing.waiting.load(Ordering::Relaxed), 0);
    }
}
