//! Rate limit of presence changes: one change per second and user. Of several changes within a
//! second, only the last is applied.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use appcore::{AppError, UserId, view::PresenceStatus};

/// Minimum interval between two changes of one user.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// Presence reported by a user's connections; `None` if there is no report.
type ReportedStatus = Option<PresenceStatus>;

/// Users with a change within the last [`MIN_INTERVAL`], each with the change that waits for the
/// end of the interval, if any.
#[derive(Clone, Default)]
pub struct PresenceRateLimit {
    recent: Arc<Mutex<HashMap<UserId, Option<ReportedStatus>>>>,
}

impl PresenceRateLimit {
    /// Applies a change now if the interval since the last one is over. Otherwise applies it at the
    /// end of the interval, unless another change replaces it.
    pub async fn run<F>(
        &self,
        person: UserId,
        status: ReportedStatus,
        apply: impl Fn(ReportedStatus) -> F + Send + 'static,
    ) -> Result<(), AppError>
    where
        F: Future<Output = Result<(), AppError>> + Send,
    {
        match self.recent().entry(person) {
            Entry::Occupied(mut waiting) => {
                waiting.insert(Some(status));
                return Ok(());
            }
            Entry::Vacant(vacant) => drop(vacant.insert(None)),
        }
        let now = apply(status);
        let choices = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(MIN_INTERVAL).await;
                let Some(status) = choices.next(person) else { return };
                if let Err(error) = apply(status).await {
                    tracing::debug!(%error, "failed to announce presence change");
                }
            }
        });
        now.await
    }

    /// Removes and returns the waiting change of a user. If there is none, the user is removed.
    fn next(&self, person: UserId) -> Option<ReportedStatus> {
        let mut recent = self.recent();
        let waiting = recent.get_mut(&person)?.take();
        if waiting.is_none() {
            recent.remove(&person);
        }
        waiting
    }

    fn recent(&self) -> MutexGuard<'_, HashMap<UserId, Option<ReportedStatus>>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn presence_changes_once_a_second_and_last_change_wins() {
        let (choices, begin) = (PresenceRateLimit::default(), Instant::now());
        let told: Arc<Mutex<Vec<(UserId, ReportedStatus, u64)>>> = Arc::default();
        let apply = |person: UserId| {
            let told = Arc::clone(&told);
            move |status| {
                told.lock().unwrap().push((person, status, begin.elapsed().as_secs()));
                std::future::ready(Ok(()))
            }
        };
        let (anna, ben) = (UserId::new(), UserId::new());
        for n in 0..100 {
            let status = if n % 2 == 0 { PresenceStatus::Away } else { PresenceStatus::Online };
            choices.run(anna, Some(status), apply(anna)).await.unwrap();
        }
        choices.run(anna, Some(PresenceStatus::Dnd), apply(anna)).await.unwrap();
        choices.run(ben, Some(PresenceStatus::Away), apply(ben)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        choices.run(anna, Some(PresenceStatus::Online), apply(anna)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(
            *told.lock().unwrap(),
            [
                (anna, Some(PresenceStatus::Away), 0),
                (ben, Some(PresenceStatus::Away), 0),
                (anna, Some(PresenceStatus::Dnd), 1),
                (anna, Some(PresenceStatus::Online), 10)
            ]
        );
        assert!(choices.recent().is_empty(), "entries expire after the interval");
    }
}
