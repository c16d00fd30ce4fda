//! Parses and serialises large bodies on a bounded blocking pool, fairly shared by owner, so that
//! they neither stall the event loop nor wait behind one user's backlog.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use appcore::work_pool::{PoolLimits, WorkOwner, WorkPool, WorkSlot};
use tokio::task::spawn_blocking;

use crate::{ErrorKind, GatewayError};

/// Largest body processed on the event loop, in bytes: it takes less than a millisecond.
const MAX_INLINE_BYTES: usize = 256 * 1024;
/// `Retry-After` of a refused request.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Limits of large requests. Each takes several times its size in memory during processing.
const REQUESTS: PoolLimits = PoolLimits {
    slots: 2,
    per_user: 1,
    // 64 MiB of bodies are allowed per user; this is the number of the smallest large bodies that
    // fit.
    max_waiting: 256,
    max_wait: Duration::from_secs(10),
    sentence: "Too many large requests are being read. Please try again in a moment.",
};
/// Limits of large provider answers. Answers have been paid for, so they wait without limit; only
/// the slots apply.
const ANSWERS: PoolLimits = PoolLimits { slots: 4, per_user: 3, ..REQUESTS };

/// The two pools of this process, for requests and for answers.
static POOLS: LazyLock<BodyPools> = LazyLock::new(BodyPools::default);

/// Fair admission to the processing of large bodies. Requests and answers have separate pools so
/// that requests don't delay answers.
struct BodyPools {
    requests: Arc<WorkPool>,
    answers: Arc<WorkPool>,
}

impl Default for BodyPools {
    fn default() -> Self {
        Self { requests: WorkPool::new(REQUESTS), answers: WorkPool::new(ANSWERS) }
    }
}

impl BodyPools {
    async fn process_request<T: Send + 'static>(
        &self,
        owner: WorkOwner,
        size: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, GatewayError> {
        let slot = async {
            self.requests
                .acquire(owner)
                .await
                .map_err(|_| GatewayError::new(ErrorKind::Unavailable, REQUESTS.sentence).with_retry_after(RETRY_AFTER))
        };
        process(size, slot, "request", work).await
    }

    async fn process_answer<T: Send + 'static>(
        &self,
        owner: WorkOwner,
        size: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, GatewayError> {
        process(size, async { Ok(self.answers.acquire_for_job(owner).await) }, "answer", work).await
    }
}

/// Processes a request of `size` bytes. Returns `Unavailable` if too many large requests are
/// waiting.
pub(crate) async fn run<T: Send + 'static>(
    owner: WorkOwner,
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, GatewayError> {
    POOLS.process_request(owner, size, work).await
}

/// Processes a provider's answer of `size` bytes.
pub(crate) async fn run_for_answer<T: Send + 'static>(
    owner: WorkOwner,
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, GatewayError> {
    POOLS.process_answer(owner, size, work).await
}

/// Processes a small body at once, and a large one on a blocking thread once a slot is free. The
/// slot is released when the work is done, even if the caller was cancelled.
async fn process<T: Send + 'static>(
    size: usize,
    slot: impl Future<Output = Result<WorkSlot, GatewayError>>,
    body: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, GatewayError> {
    if size <= MAX_INLINE_BYTES {
        return Ok(work());
    }
    let slot = slot.await?;
    let running = spawn_blocking(move || {
        let _slot = slot;
        work()
    });
    running.await.map_err(|error| {
        tracing::error!(%error, body, "failed to process large body");
        GatewayError::new(ErrorKind::Internal, format!("The {body} couldn't be read."))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use appcore::UserId;

    use super::*;
    use crate::ApiStyle;

    fn user() -> WorkOwner {
        WorkOwner::user(UserId::new())
    }

    async fn settle() {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn keeps_the_event_loop_free_and_limits_concurrency() {
        let pools = Arc::new(BodyPools::default());
        let here = std::thread::current().id();
        assert_eq!(
            pools.process_request(user(), MAX_INLINE_BYTES, || std::thread::current().id()).await.ok(),
            Some(here),
            "small work is done at once"
        );
        let (began, begun) = mpsc::channel();
        let mut ends = Vec::new();
        let mut works = Vec::new();
        for _ in 0..3 {
            let (end, ended) = mpsc::channel::<()>();
            let (began, pools) = (began.clone(), Arc::clone(&pools));
            ends.push(end);
            works.push(tokio::spawn(async move {
                let work = move || {
                    began.send(std::thread::current().id()).unwrap();
                    ended.recv().is_err()
                };
                pools.process_request(user(), MAX_INLINE_BYTES + 1, work).await
            }));
        }
        let two = tokio::task::spawn_blocking(move || ([begun.recv().unwrap(), begun.recv().unwrap()], begun));
        let (threads, begun) = two.await.unwrap();
        assert!(threads.iter().all(|thread| *thread != here));
        assert!(begun.try_recv().is_err(), "the third call waits");
        let answer = pools.process_answer(user(), MAX_INLINE_BYTES + 1, || 7).await;
        assert_eq!(answer.ok(), Some(7), "responses don't wait for requests");
        let broken = pools.process_answer::<()>(user(), MAX_INLINE_BYTES + 1, || panic!("the body is invalid")).await;
        assert_eq!(broken.unwrap_err().message(), "The answer couldn't be read.");
        drop(ends);
        for work in works {
            assert!(work.await.unwrap().is_ok_and(|done| done));
        }
        assert!(begun.recv().is_ok());
    }

    #[tokio::test]
    async fn shares_slots_fairly_between_users() {
        let pools = Arc::new(BodyPools::default());
        let (greedy, other) = (user(), user());
        let running = pools.requests.acquire(greedy).await.unwrap();
        let mut answers = Vec::new();
        for _ in 0..ANSWERS.per_user {
            answers.push(pools.answers.acquire_for_job(greedy).await);
        }
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let pools = Arc::clone(&pools);
                tokio::spawn(async move {
                    pools.process_request(greedy, MAX_INLINE_BYTES + 1, || ()).await.unwrap();
                    pools.process_answer(greedy, MAX_INLINE_BYTES + 1, || ()).await.unwrap();
                })
            })
            .collect();
        settle().await;
        assert_eq!(pools.process_request(other, MAX_INLINE_BYTES + 1, || 1).await.ok(), Some(1));
        assert_eq!(pools.process_answer(other, MAX_INLINE_BYTES + 1, || 2).await.ok(), Some(2));
        assert!(waiting.iter().all(|task| !task.is_finished()));
        drop((running, answers));
        for task in waiting {
            task.await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refuses_requests_that_wait_too_long() {
        let pools = BodyPools::default();
        let owner = user();
        let _running = pools.requests.acquire(owner).await.unwrap();
        let refusal = pools.process_request(owner, MAX_INLINE_BYTES + 1, || ()).await.unwrap_err();
        assert_eq!((refusal.kind(), refusal.status(ApiStyle::Chat)), (ErrorKind::Unavailable, 503));
        assert_eq!((refusal.message(), refusal.retry_after()), (REQUESTS.sentence, Some(RETRY_AFTER)));
    }
}
