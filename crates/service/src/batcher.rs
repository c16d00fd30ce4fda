//! Questions to the database that are asked at the same time, as one statement.
//!
//! As with the writer's groups there is no timer: whoever asks alone is answered at once, and what is asked while an answer is under way
//! goes into the next statement, together. So when thousands of clients come back at once, the database is asked as often as it answers,
//! and not as often as there are clients. An answer is never older than its question: what is asked while a statement is under way waits
//! for the next one, even where the key is the same, because whoever asks relies on what they did before (see `realtime::shard`).

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// Keys that one statement asks for at most.
const MOST: usize = 512;

/// One kind of question.
pub struct Batcher<K, V> {
    waiting: Mutex<Waiting<K, V>>,
}

struct Waiting<K, V> {
    questions: Vec<(K, oneshot::Sender<V>)>,
    is_asking: bool,
}

impl<K, V> Default for Batcher<K, V> {
    fn default() -> Self {
        Self { waiting: Mutex::new(Waiting { questions: Vec::new(), is_asking: false }) }
    }
}

impl<K, V> Batcher<K, V>
where
    K: Copy + Eq + Hash + Send + 'static,
    V: Clone + Default + Send + 'static,
{
    /// The answer for this key, by `read` for it and others; a key that `read` leaves out has the default. None: `read` has failed, and
    /// whoever asked may want to know why by asking alone.
    pub async fn ask<R, F>(self: &Arc<Self>, key: K, read: R) -> Option<V>
    where
        R: Fn(Vec<K>) -> F + Send + 'static,
        F: Future<Output = Option<HashMap<K, V>>> + Send,
    {
        let (sender, answer) = oneshot::channel();
        let begins = {
            let mut waiting = self.lock();
            waiting.questions.push((key, sender));
            !std::mem::replace(&mut waiting.is_asking, true)
        };
        if begins {
            // A task of its own: whoever asked first may lose interest.
            let turn = Turn(Arc::clone(self));
            tokio::spawn(async move { turn.run(read).await });
        }
        answer.await.ok()
    }

    fn next(&self) -> Vec<(K, oneshot::Sender<V>)> {
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

/// Whoever asks for all. Should it end early, those who wait are let go and the next one asks.
struct Turn<K, V>(Arc<Batcher<K, V>>);

impl<K, V> Turn<K, V>
where
    K: Copy + Eq + Hash + Send + 'static,
    V: Clone + Default + Send + 'static,
{
    async fn run<R, F>(self, read: R)
    where
        R: Fn(Vec<K>) -> F,
        F: Future<Output = Option<HashMap<K, V>>>,
    {
        loop {
            let questions = self.0.next();
            if questions.is_empty() {
                return;
            }
            let mut keys: Vec<K> = Vec::with_capacity(questions.len());
            let mut answers: HashMap<K, V> = HashMap::with_capacity(questions.len());
            for (key, _) in &questions {
                if answers.insert(*key, V::default()).is_none() {
                    keys.push(*key);
                }
            }
            // Without an answer the questions are dropped, which those who asked see.
            let Some(found) = read(keys).await else { continue };
            answers.extend(found);
            for (key, sender) in questions {
                let _ = sender.send(answers.get(&key).cloned().unwrap_or_default());
            }
        }
    }
}

impl<K, V> Drop for Turn<K, V> {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        if waiting.is_asking {
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
    ) -> tokio::task::JoinHandle<Option<u32>> {
        let (gather, gate, asked) = (Arc::clone(gather), Arc::clone(gate), Arc::clone(asked));
        tokio::spawn(async move {
            gather
                .ask(key, move |keys| {
                    let (gate, asked) = (Arc::clone(&gate), Arc::clone(&asked));
                    async move {
                        gate.acquire().await.ok()?.forget();
                        asked.fetch_add(1, Ordering::Relaxed);
                        (!keys.contains(&13))
                            .then(|| keys.into_iter().filter(|key| *key > 0).map(|key| (key, 2 * key)).collect())
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
        assert_eq!(first.await.unwrap(), Some(2));
        for (n, other) in others.into_iter().enumerate() {
            assert_eq!(other.await.unwrap(), Some(2 * (n as u32 % 10)));
        }
        // The first key was among them, and was asked again: its first answer may be from before the second question.
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        gate.add_permits(1);
        assert_eq!(ask(&gather, 7, &gate, &asked).await.unwrap(), Some(14), "and the next one asks again");
    }

    #[tokio::test]
    async fn a_failure_concerns_those_who_asked_together_and_nobody_after() {
        let (gather, gate, asked) = (Doubles::default(), Arc::new(Semaphore::new(0)), Arc::default());
        let first = ask(&gather, 1, &gate, &asked);
        settle().await;
        let (bad, beside) = (ask(&gather, 13, &gate, &asked), ask(&gather, 2, &gate, &asked));
        settle().await;
        gate.add_permits(3);
        assert_eq!(first.await.unwrap(), Some(2));
        assert_eq!((bad.await.unwrap(), beside.await.unwrap()), (None, None));
        assert_eq!(ask(&gather, 2, &gate, &asked).await.unwrap(), Some(4));
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
        assert_eq!(second.await.unwrap(), Some(4));
    }
}
