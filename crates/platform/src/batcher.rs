//! Batches concurrent reads into one statement.
//!
//! As with the writer's batches there is no timer: a lone read runs at once, and reads that arrive while a statement is running form the next
//! one. When thousands of clients reconnect at once, the number of statements depends on the database's latency and not on the number of clients.
//! A result is never older than its request: a request that arrives while a statement is running waits for the next one, even for the same key,
//! because its caller relies on what it did before (see `realtime::shard`).
//!
//! A failed statement is not repeated: all its callers get the error. A slow one, such as on a silent connection, delays only its own callers: the
//! next one does not wait for it.

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

/// Keys that one statement asks for at most.
const MOST: usize = 512;
/// How long the next statement waits for the one before it.
const SLOW: Duration = Duration::from_secs(1);
/// Statements that may be under way at the same time, the slow ones included.
const AT_ONCE: usize = 4;

/// One kind of question.
pub struct Batcher<K, V> {
    waiting: Mutex<Waiting<K, V>>,
    statements: Arc<Semaphore>,
    /// The runtime where it was made. A caller's runtime may end sooner, and the result is for others too.
    runtime: Option<Handle>,
}

type Question<K, V> = (K, oneshot::Sender<Result<V, AppError>>);

struct Waiting<K, V> {
    questions: Vec<Question<K, V>>,
    is_asking: bool,
}

impl<K, V> Default for Batcher<K, V> {
    fn default() -> Self {
        Self {
            waiting: Mutex::new(Waiting { questions: Vec::new(), is_asking: false }),
            statements: Arc::new(Semaphore::new(AT_ONCE)),
            runtime: Handle::try_current().ok(),
        }
    }
}

impl<K, V> Batcher<K, V>
where
    K: Copy + Eq + Hash + Send + 'static,
    V: Clone + Default + Send + 'static,
{
    /// The answer for this key, by `read` for it and others; a key that `read` leaves out has the default.
    pub async fn ask<R, F>(self: &Arc<Self>, key: K, read: R) -> Result<V, AppError>
    where
        R: Fn(Vec<K>) -> F + Send + 'static,
        F: Future<Output = Result<HashMap<K, V>, AppError>> + Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        let begins = {
            let mut waiting = self.lock();
            waiting.questions.push((key, sender));
            !std::mem::replace(&mut waiting.is_asking, true)
        };
        if begins {
            // A task of its own: the first caller may be dropped.
            let turn = Turn { batcher: Arc::clone(self), is_over: false };
            self.runtime.clone().unwrap_or_else(Handle::current).spawn(async move { turn.run(read).await });
        }
        answer.await.unwrap_or_else(|_| Err(AppError::unavailable(anyhow!("the question was given up"))))
    }

    fn next(&self) -> Vec<Question<K, V>> {
        let mut waiting = self.lock();
        let count = waiting.questions.len().min(MOST);
        let next = waiting.questions.drain(..count).collect::<Vec<_>>();
        if next.is_empty() {
            *waiting = Waiting { questions: Vec::new(), is_asking: false };
        }
        next
    }
}

impl<K, V> Batcher<K, V> {
    fn lock(&self) -> MutexGuard<'_, Waiting<K, V>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the statements. If it ends early, its callers are released and the next request starts another.
struct Turn<K, V> {
    batcher: Arc<Batcher<K, V>>,
    /// Its callers are released; requests that wait now belong to the next one.
    is_over: bool,
}

impl<K, V> Turn<K, V>
where
    K: Copy + Eq + Hash + Send + 'static,
    V: Clone + Default + Send + 'static,
{
    async fn run<R, F>(mut self, read: R)
    where
        R: Fn(Vec<K>) -> F,
        F: Future<Output = Result<HashMap<K, V>, AppError>> + Send + 'static,
    {
        // It is never closed.
        while let Ok(statement) = Arc::clone(&self.batcher.statements).acquire_owned().await {
            let questions = self.batcher.next();
            if questions.is_empty() {
                self.is_over = true;
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
                answer(questions, answers, reading.await);
                drop(statement);
            });
            // A late one continues by itself.
            let _ = tokio::time::timeout(SLOW, asked).await;
        }
    }
}

fn answer<K: Copy + Eq + Hash, V: Clone + Default>(
    questions: Vec<Question<K, V>>,
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
                let _ = sender.send(Err(copy(&error)));
            }
        }
    }
}

/// An error that says as much, for each of those who asked.
fn copy(error: &AppError) -> AppError {
    match error {
        AppError::Unavailable(cause) => AppError::unavailable(anyhow!("{cause:#}")),
        other => AppError::internal(anyhow!("{other:#}")),
    }
}

impl<K, V> Drop for Turn<K, V> {
    fn drop(&mut self) {
        if !self.is_over {
            let mut waiting = self.batcher.lock();
            *waiting = Waiting { questions: Vec::new(), is_asking: false };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    type Doubles = Arc<Batcher<u32, u32>>;

    /// Answers each number with its double, once the gate is opened for a statement.
    fn ask(
        gather: &Doubles,
        key: u32,
        gate: &Arc<Semaphore>,
        asked: &Arc<AtomicUsize>,
    ) -> tokio::task::JoinHandle<Result<u32, AppError>> {
        let (gather, gate, asked) = (Arc::clone(gather), Arc::clone(gate), Arc::clone(asked));
        tokio::spawn(async move {
            gather
                .ask(key, move |keys| {
                    let (gate, asked) = (Arc::clone(&gate), Arc::clone(&asked));
                    async move {
                        gate.acquire().await.map_err(AppError::internal)?.forget();
                        asked.fetch_add(1, Ordering::Relaxed);
                        if keys.contains(&13) {
                            return Err(AppError::unavailable(anyhow!("the database is away")));
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
    async fn what_is_asked_meanwhile_is_asked_together_and_never_answered_by_what_began_before() {
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
        // The first key was among them, and was asked again: its first answer may be from before the second question.
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        gate.add_permits(1);
        assert_eq!(ask(&gather, 7, &gate, &asked).await.unwrap().unwrap(), 14, "and the next one asks again");
    }

    #[tokio::test]
    async fn a_failure_is_passed_on_to_those_who_asked_together_and_concerns_nobody_after() {
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
        assert_eq!(asked.load(Ordering::Relaxed), 2, "nobody asked again alone");
        assert_eq!(ask(&gather, 2, &gate, &asked).await.unwrap().unwrap(), 4);
    }

    #[tokio::test]
    async fn who_loses_interest_keeps_nobody_from_an_answer() {
        let (gather, gate, asked) = (Doubles::default(), Arc::new(Semaphore::new(0)), Arc::default());
        let first = ask(&gather, 1, &gate, &asked);
        settle().await;
        let second = ask(&gather, 2, &gate, &asked);
        settle().await;
        first.abort();
        gate.add_permits(2);
        assert_eq!(second.await.unwrap().unwrap(), 4);
    }

    /// As when the line of one connection goes silent.
    #[tokio::test(start_paused = true)]
    async fn a_statement_that_is_not_answered_costs_only_those_who_are_in_it() {
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
                gather.ask(key, read).await
            })
        };
        let silent = ask(1);
        settle().await;
        let next = ask(2);
        assert_eq!(next.await.unwrap().unwrap(), 4);
        assert!(!silent.is_finished());
    }
}
