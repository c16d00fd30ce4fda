//! Shared lazy value: concurrent callers wait for the same attempt to create it, and a failure is
//! cached for a while. So all callers together wait only once for the timeout of an unresponsive
//! server.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use mcp::McpError;
use tokio::time::Instant;

/// Time for which a failure is cached.
const FAILURE_TTL: Duration = Duration::from_secs(10);

type Attempt<T> = Shared<BoxFuture<'static, Result<T, McpError>>>;

pub(super) struct SharedLazy<T>(Mutex<State<T>>);

enum State<T> {
    Empty,
    Pending(Attempt<T>),
    Ready(T),
    Failed { error: McpError, until: Instant },
}

impl<T> Default for SharedLazy<T> {
    fn default() -> Self {
        Self(Mutex::new(State::Empty))
    }
}

impl<T: Clone + Send + Sync + 'static> SharedLazy<T> {
    /// Returns the current value if it is usable, otherwise the result of creating a new one.
    pub async fn get<F>(
        self: &Arc<Self>,
        is_good: impl FnOnce(&T) -> bool,
        make: impl FnOnce() -> Result<F, McpError>,
    ) -> Result<T, McpError>
    where
        F: Future<Output = Result<T, McpError>> + Send + 'static,
    {
        let attempt = {
            let mut state = self.state();
            match &*state {
                State::Ready(made) if is_good(made) => return Ok(made.clone()),
                State::Failed { error, until } if Instant::now() < *until => return Err(error.clone()),
                State::Pending(attempt) => attempt.clone(),
                State::Empty | State::Ready(_) | State::Failed { .. } => {
                    let attempt = self.start(make()?);
                    *state = State::Pending(attempt.clone());
                    attempt
                }
            }
        };
        attempt.await
    }

    /// Starts an attempt in a task of its own, because other callers may need the result after this
    /// one gives up.
    fn start(self: &Arc<Self>, making: impl Future<Output = Result<T, McpError>> + Send + 'static) -> Attempt<T> {
        let place = Arc::clone(self);
        let attempt = tokio::spawn(async move {
            let made = making.await;
            *place.state() = match &made {
                Ok(made) => State::Ready(made.clone()),
                Err(error) => State::Failed { error: error.clone(), until: Instant::now() + FAILURE_TTL },
            };
            made
        });
        let broken = || McpError::Unreachable("the attempt to connect ended early".to_owned());
        attempt.map(move |ended| ended.unwrap_or_else(|_| Err(broken()))).boxed().shared()
    }

    // The state is consistent between any two statements, so a poisoned lock is safe to use.
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    const SILENCE: Duration = Duration::from_secs(20);

    /// Server that answers late or never.
    #[derive(Default)]
    struct Server {
        attempts: AtomicUsize,
        answers: Option<usize>,
    }

    impl Server {
        async fn ask(self: Arc<Self>) -> Result<usize, McpError> {
            self.attempts.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(SILENCE).await;
            self.answers.ok_or(McpError::Timeout)
        }

        fn asked(&self) -> usize {
            self.attempts.load(Ordering::Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn callers_of_an_unresponsive_server_share_one_attempt() {
        let (place, server) = (Arc::new(SharedLazy::<usize>::default()), Arc::new(Server::default()));
        let get = || place.get(|_| true, || Ok(Arc::clone(&server).ask()));
        let begun = Instant::now();
        assert!(join_all((0..20).map(|_| get())).await.iter().all(|got| *got == Err(McpError::Timeout)));
        assert_eq!((begun.elapsed(), server.asked()), (SILENCE, 1));
        // The second call gets the cached failure.
        assert_eq!((get().await, begun.elapsed(), server.asked()), (Err(McpError::Timeout), SILENCE, 1));
        tokio::time::advance(FAILURE_TTL).await;
        assert_eq!((get().await, server.asked()), (Err(McpError::Timeout), 2));
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_detached_result_and_replaces_bad_one() {
        let server = Arc::new(Server { answers: Some(7), ..Server::default() });
        let place = Arc::new(SharedLazy::<usize>::default());
        let get = |is_good: bool| place.get(move |_| is_good, || Ok(Arc::clone(&server).ask()));
        assert!(tokio::time::timeout(SILENCE / 2, get(true)).await.is_err());
        assert_eq!((get(true).await, get(true).await, server.asked()), (Ok(7), Ok(7), 1));
        assert_eq!((get(false).await, server.asked()), (Ok(7), 2));
    }

    #[tokio::test]
    async fn does_not_cache_failures_to_start() {
        let place = Arc::new(SharedLazy::<usize>::default());
        let refused = place.get(|_| true, || Err::<std::future::Ready<_>, _>(McpError::Credentials)).await;
        assert_eq!(refused, Err(McpError::Credentials));
        assert_eq!(place.get(|_| true, || Ok(std::future::ready(Ok(1)))).await, Ok(1));
    }
}
