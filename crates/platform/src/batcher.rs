//! Batches concurrent reads into one statement.
//!
//! As with the writer's batches there is no timer: a lone read runs at once, and reads that arrive
//! while a statement is running form the next one. When thousands of clients reconnect at once, the
//! number of statements depends on the database's latency and not on the number of clients. A
//! result is never older than its request: a request that arrives while a statement is running
//! waits for the next one, even for the same key, because its caller relies on the effect of its
//! earlier actions (see `realtime::shard`).
//!
//! A failed statement is not repeated: all its callers get the error. A slow statement, such as one
//! on a connection that no longer responds, delays only its own callers: after a second the next
//! statement starts without waiting for it.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::anyhow;
use appcore::AppError;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot},
};

/// Maximum number of keys of one statement.
const MAX_BATCH_KEYS: usize = 512;
/// Time that the next statement waits for the previous one to complete.
const SLOW_STATEMENT_AFTER: Duration = Duration::from_secs(1);
/// Maximum number of concurrent statements, including slow ones.
const MAX_CONCURRENT_STATEMENTS: usize = 4;

/// Batcher for one kind of read.
pub struct Batcher<K, V> {
    waiting: Mutex<ReadQueue<K, V>>,
    statements: Arc<Semaphore>,
    /// Runtime that created the batcher and runs its statements. A caller's runtime may end while
    /// other callers still wait for the result.
    runtime: Option<Handle>,
}

type PendingRead<K, V> = (K, oneshot::Sender<Result<V, AppError>>);

struct ReadQueue<K, V> {
    reads: Vec<PendingRead<K, V>>,
    is_running: bool,
}

impl<K, V> Default for Batcher<K, V> {
    fn default() -> Self {
        Self {
            waiting: Mutex::new(ReadQueue { reads: Vec::new(), is_running: false }),
            statements: Arc::new(Semaphore::new(MAX_CONCURRENT_STATEMENTS)),
            runtime: Handle::try_current().ok(),
        }
    }
}

impl<K, V> Batcher<K, V>
where
    K: Copy + Eq + Hash + Send + 'static,
    V: Clone + Default + Send + 'static,
{
    /// Value of `key`, read by `read` together with other keys. Returns the default for keys that
    /// `read` omits.
    pub async fn get<R, F>(self: &Arc<Self>, key: K, read: R) -> Result<V, AppError>
    where
        R: Fn(Vec<K>) -> F + Send + 'static,
        F: Future<Output = Result<HashMap<K, V>, AppError>> + Send + 'static,
    {
        let (sender, deliver) = oneshot::channel();
        let begins = {
            let mut waiting = self.lock();
            waiting.reads.push((key, sender));
            !std::mem::replace(&mut waiting.is_running, true)
        };
        if begins {
            // The batch runs in a separate task, because the first caller may be dropped.
            let turn = BatchRunner { batcher: Arc::clone(self), is_detached: false };
            self.runtime.clone().unwrap_or_else(Handle::current).spawn(async move { turn.run(read).await });
        }
        deliver.await.unwrap_or_else(|_| Err(AppError::unavailable(anyhow!("the batch was dropped"))))
    }

    fn take_batch(&self) -> Vec<PendingRead<K, V>> {
        let mut waiting = self.lock();
        let count = waiting.reads.len().min(MAX_BATCH_KEYS);
        let next = waiting.reads.drain(..count).collect::<Vec<_>>();
        if next.is_empty() {
            *waiting = ReadQueue { reads: Vec::new(), is_running: false };
        }
        next
    }
}

impl<K, V> Batcher<K, V> {
    fn lock(&self) -> MutexGuard<'_, ReadQueue<K, V>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Task that runs the statements. If it ends early, the waiting callers get an error and the next
/// request starts another task.
struct BatchRunner<K, V> {
    batcher: Arc<Batcher<K, V>>,
    /// True once no caller waits any more. Later requests start a task of their own.
    is_detached: bool,
}

impl<K, V> BatchRunner<K, V>
where
    K: Copy + Eq + Hash + Send + 'static,
    V: Clone + Default + Send + 'static,
{
    async fn run<R, F>(mut self, read: R)
    where
        R: Fn(Vec<K>) -> F,
        F: Future<Output = Result<HashMap<K, V>, AppError>> + Send + 'static,
    {
        // Acquiring fails only on a closed semaphore, and this one is never closed.
        while let Ok(statement) = Arc::clone(&self.batcher.statements).acquire_owned().await {
            let questions = self.batcher.take_batch();
            if questions.is_empty() {
                self.is_detached = true;
                return;
            }
            let mut keys: Vec<K> = Vec::with_capacity(questions.len());
            let mut answers: HashMap<K, V> = HashMap::with_capacity(questions.len());
            for (key, _) in &questions {
                if answers.insert(*key, V::default()).is_none() {
                    keys.push(*key);
                }
            }
            let reading = read(keys);
            let asked = tokio::spawn(async move {
                deliver(questions, answers, reading.await);
                drop(statement);
            });
            // After the timeout the statement continues in the background.
            let _ = tokio::time::timeout(SLOW_STATEMENT_AFTER, asked).await;
        }
    }
}

fn deliver<K: Copy + Eq + Hash, V: Clone + Default>(
    questions: Vec<PendingRead<K, V>>,
    mut answers: HashMap<K, V>,
    found: Result<HashMap<K, V>, AppError>,
) {
    match found {
        Ok(found) => {
            answers.extend(found);
            for (key, sender) in questions {
                let _ = sender.send(Ok(answers.get(&key).cloned().unwrap_or_default()));
            }
        }
        Err(error) => {
            for (_, sender) in questions {
                let _ = sender.send(Err(clone_error(&error)));
            }
        }
    }
}

/// Copies an error for each of the callers.
fn clone_error(error: &AppError) -> AppError {
    match error {
        AppError::Unavailable(cause) => AppError::unavailable(anyhow!("{cause:#}")),
        other => AppError::internal(anyhow!("{other:#}")),
    }
}

impl<K, V> Drop for BatchRunner<K, V> {
    fn drop(&mut self) {
        if !self.is_detached {
            let mut waiting = self.batcher.lock();
            *waiting = ReadQueue { reads: Vec::new(), is_running: false };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    type Doubles = Arc<Batcher<u32, u32>>;

    /// Requests the double of `key` from a batcher whose statements wait for a permit of `gate`.
    fn ask(
        gather: &Doubles,
        key: u32,
        gate: &Arc<Semaphore>,
        asked: &Arc<AtomicUsize>,
    ) -> tokio::task::JoinHandle<Result<u32, AppError>> {
        let (gather, gate, asked) = (Arc::clone(gather), Arc::clone(gate), Arc::clone(asked));
        tokio::spawn(async move {
            gather
                .get(key, move |keys| {
                    let (gate, asked) = (Arc::clone(&gate), Arc::clone(&asked));
                    async move {
                        gate.acquire().await.map_err(AppError::internal)?.forget();
                        asked.fetch_add(1, Ordering::Relaxed);
                        if keys.contains(&13) {
                            return Err(AppError::unavailable(anyhow!("the database is unavailable")));
                        }
                        Ok(keys.into_iter().filter(|key| *key > 0).map(|key| (key, 2 * key)).collect())
                    }
                })
                .await
        })
    }

    async fn settle() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn concurrent_requests_share_the_next_statement_and_get_no_older_result() {
        let (gather, gate, asked) = (Doubles::default(), Arc::new(Semaphore::new(0)), Arc::default());
        let first = ask(&gather, 1, &gate, &asked);
        settle().await;
        let others: Vec<_> = (0..100).map(|n| ask(&gather, n % 10, &gate, &asked)).collect();
        settle().await;
        gate.add_permits(2);
        assert_eq!(first.await.unwrap().unwrap(), 2);
        for (n, other) in others.into_iter().enumerate() {
            assert_eq!(other.await.unwrap().unwrap(), 2 * (n as u32 % 10));
        }
        // The second batch contains the first key as well: its first result may be older than the
        // second request.
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        gate.add_permits(1);
        assert_eq!(ask(&gather, 7, &gate, &asked).await.unwrap().unwrap(), 14, "the next request runs a statement");
    }

    #[tokio::test]
    async fn errors_reach_all_callers_of_the_batch_and_no_later_ones() {
        let (gather, gate, asked) = (Doubles::default(), Arc::new(Semaphore::new(0)), Arc::default());
        let first = ask(&gather, 1, &gate, &asked);
        settle().await;
        let (bad, beside) = (ask(&gather, 13, &gate, &asked), ask(&gather, 2, &gate, &asked));
        settle().await;
        gate.add_permits(3);
        assert_eq!(first.await.unwrap().unwrap(), 2);
        for failed in [bad.await.unwrap(), beside.await.unwrap()] {
            assert!(matches!(failed, Err(AppError::Unavailable(_))), "{failed:?}");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2, "no caller retried alone");
        assert_eq!(ask(&gather, 2, &gate, &asked).await.unwrap().unwrap(), 4);
    }

    #[tokio::test]
    async fn dropped_callers_do_not_block_others() {
        let (gather, gate, asked) = (Doubles::default(), Arc::new(Semaphore::new(0)), Arc::default());
        let first = ask(&gather, 1, &gate, &asked);
        settle().await;
        let second = ask(&gather, 2, &gate, &asked);
        settle().await;
        first.abort();
        gate.add_permits(2);
        assert_eq!(second.await.unwrap().unwrap(), 4);
    }

    /// Simulates a connection that never responds.
    #[tokio::test(start_paused = true)]
    async fn hanging_statements_delay_only_their_own_callers() {
        let gather = Doubles::default();
        let ask = |key: u32| {
            let gather = Arc::clone(&gather);
            tokio::spawn(async move {
                let read = |keys: Vec<u32>| async move {
                    if keys.contains(&1) {
                        std::future::pending::<()>().await;
                    }
                    Ok(keys.into_iter().map(|key| (key, 2 * key)).collect())
                };
                gather.get(key, read).await
            })
        };
        let silent = ask(1);
        settle().await;
        let next = ask(2);
        assert_eq!(next.await.unwrap().unwrap(), 4);
        assert!(!silent.is_finished());
    }
}
