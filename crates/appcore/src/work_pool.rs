//! Fair admission to work with which one user could saturate an instance: searches, parsing of
//! uploaded files, exports, and large bodies of the AI gateway.
//!
//! A [`WorkPool`] has a fixed number of slots on this instance. Waiting requests are served in
//! rounds, like durable jobs (`dbcontext::query::jobs`): first the first request of everybody, then
//! the second request of everybody, and so on. Within a round, the first request of each workspace
//! comes before the second of any workspace. A user occupies at most [`PoolLimits::per_user`]
//! slots, so another user gets a slot as soon as each other user has finished at most one request.
//! Work without a user takes turns as if it were a user's.
//!
//! A request is refused with 503 and `Retry-After` if it waits longer than
//! [`PoolLimits::max_wait`], or if the user already has [`PoolLimits::max_waiting`] waiting
//! requests. Durable jobs wait without a limit ([`WorkPool::acquire_for_job`]), because their
//! number is limited per kind of job. Large responses of AI providers wait without a limit as well,
//! because they are already paid for.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{AppError, Code, UserId, WorkspaceId};

/// Limits of a pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Maximum number of concurrent requests.
    pub slots: usize,
    /// Maximum number of slots that one user occupies.
    pub per_user: usize,
    /// Maximum number of waiting requests of one user.
    pub max_waiting: usize,
    /// Maximum time that a request waits for a slot. It is also the `Retry-After` of a refusal.
    pub max_wait: Duration,
    /// Message of a refusal.
    pub sentence: &'static str,
}

/// User on whose behalf work is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WorkOwner {
    User {
        user: UserId,
        workspace: Option<WorkspaceId>,
    },
    #[default]
    System,
}

impl WorkOwner {
    pub const fn user(user: UserId) -> Self {
        Self::User { user, workspace: None }
    }

    const fn user_id(self) -> Option<UserId> {
        match self {
            Self::User { user, .. } => Some(user),
            Self::System => None,
        }
    }

    const fn workspace(self) -> Option<WorkspaceId> {
        match self {
            Self::User { workspace, .. } => workspace,
            Self::System => None,
        }
    }
}

/// Pool of slots for one resource of this instance.
#[derive(Debug)]
pub struct WorkPool {
    limits: PoolLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    by_user: HashMap<Option<UserId>, UserLoad>,
    waiting: BTreeMap<QueuePosition, Waiter>,
    /// Round of the request that was admitted last.
    round: u64,
    next_number: u64,
}

/// Running and waiting requests of one user, or of work without a user.
#[derive(Debug, Default)]
struct UserLoad {
    running: usize,
    waiting: usize,
    /// Round of the user's last request.
    last_round: u64,
}

/// Position of a waiting request in the order of admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct QueuePosition {
    round: u64,
    workspace_round: u64,
    /// Number in the order of arrival.
    number: u64,
}

#[derive(Debug)]
struct Waiter {
    owner: WorkOwner,
    admitted: oneshot::Sender<WorkSlot>,
}

/// Permission to run. Dropping it admits the next waiter.
#[derive(Debug)]
pub struct WorkSlot {
    pool: Arc<WorkPool>,
    person: Option<UserId>,
}

impl Drop for WorkSlot {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        state.running -= 1;
        if let Some(person) = state.by_user.get_mut(&self.person) {
            person.running -= 1;
        }
        state.remove_if_idle(self.person);
        WorkPool::admit(&self.pool, state);
    }
}

/// Queued request. Dropping it before it is admitted removes it from the queue.
struct Queued<'a> {
    pool: &'a Arc<WorkPool>,
    turn: QueuePosition,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        if let Some(waiter) = state.waiting.remove(&self.turn) {
            let person = waiter.owner.user_id();
            state.stopped_waiting(person);
            state.remove_if_idle(person);
        }
    }
}

impl State {
    fn occupy(&mut self, person: Option<UserId>) {
        self.running += 1;
        self.by_user.entry(person).or_default().running += 1;
    }

    fn stopped_waiting(&mut self, person: Option<UserId>) {
        if let Some(person) = self.by_user.get_mut(&person) {
            person.waiting -= 1;
        }
    }

    fn remove_if_idle(&mut self, person: Option<UserId>) {
        let is_idle = |person: &UserLoad| person.running == 0 && person.waiting == 0;
        if self.by_user.get(&person).is_some_and(is_idle) {
            self.by_user.remove(&person);
        }
    }

    /// Position of a new request. Its round is after that of the user's last request, and not
    /// before the round that is being served.
    fn turn(&mut self, owner: WorkOwner) -> QueuePosition {
        let served = self.round;
        let person = self.by_user.entry(owner.user_id()).or_default();
        let round = served.max(person.last_round + 1);
        person.last_round = round;
        person.waiting += 1;
        let of_round = QueuePosition { round, workspace_round: 0, number: 0 }..QueuePosition {
            round: round + 1,
            workspace_round: 0,
            number: 0,
        };
        let workspace = owner.workspace();
        let earlier = match workspace {
            Some(_) => self.waiting.range(of_round).filter(|(_, waiter)| waiter.owner.workspace() == workspace).count(),
            None => 0,
        };
        self.next_number += 1;
        QueuePosition { round, workspace_round: u64::try_from(earlier).unwrap_or(u64::MAX), number: self.next_number }
    }
}

impl WorkPool {
    pub fn new(limits: PoolLimits) -> Arc<Self> {
        Arc::new(Self { limits, state: Mutex::default() })
    }

    /// Waits for a slot. Returns `Unavailable` (503) with `Retry-After` after
    /// [`PoolLimits::max_wait`], or at once if too many requests of the user are waiting.
    pub async fn acquire(self: &Arc<Self>, owner: WorkOwner) -> Result<WorkSlot, AppError> {
        let is_over =
            self.state().by_user.get(&owner.user_id()).is_some_and(|person| person.waiting >= self.limits.max_waiting);
        if is_over {
            return Err(self.refusal());
        }
        tokio::time::timeout(self.limits.max_wait, self.acquire_for_job(owner)).await.map_err(|_| self.refusal())
    }

    /// Waits for a slot without a time limit, for durable jobs and for work that is already paid
    /// for.
    pub async fn acquire_for_job(self: &Arc<Self>, owner: WorkOwner) -> WorkSlot {
        let (sender, admitted) = oneshot::channel();
        let queued = {
            let mut state = self.state();
            let turn = state.turn(owner);
            state.waiting.insert(turn, Waiter { owner, admitted: sender });
            Self::admit(self, state);
            Queued { pool: self, turn }
        };
        let slot = admitted.await;
        drop(queued);
        slot.unwrap_or_else(|_| {
            // Unreachable: the sender leaves the queue only with a slot, or together with `queued`,
            // which still exists here.
            let person = owner.user_id();
            self.state().occupy(person);
            WorkSlot { pool: Arc::clone(self), person }
        })
    }

    /// Admits waiting requests while there are free slots. The state is unlocked before they are
    /// notified, because a request that was dropped in the meantime returns its slot, which locks
    /// the state.
    fn admit(pool: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let mut admitted = Vec::new();
        while state.running < pool.limits.slots {
            let may_run = |person: Option<UserId>| {
                state.by_user.get(&person).is_none_or(|person| person.running < pool.limits.per_user)
            };
            let next = state.waiting.iter().find(|(_, waiter)| may_run(waiter.owner.user_id())).map(|(turn, _)| *turn);
            let Some((turn, waiter)) = next.and_then(|turn| state.waiting.remove_entry(&turn)) else { break };
            let person = waiter.owner.user_id();
            state.round = state.round.max(turn.round);
            state.stopped_waiting(person);
            state.occupy(person);
            admitted.push((waiter.admitted, WorkSlot { pool: Arc::clone(pool), person }));
        }
        drop(state);
        for (waiter, slot) in admitted {
            drop(waiter.send(slot));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusal(&self) -> AppError {
        AppError::Refused {
            code: Code::Unavailable,
            message: Some(self.limits.sentence.into()),
            retry_after: Some(self.limits.max_wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as Lock;

    use super::*;

    const LIMITS: PoolLimits = PoolLimits {
        slots: 2,
        per_user: 1,
        max_waiting: 3,
        max_wait: Duration::from_secs(3_600),
        sentence: "Too much. Try again in an hour.",
    };

    fn user() -> WorkOwner {
        WorkOwner::user(UserId::new())
    }

    async fn settle() {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    /// Queues requests while the pool is full and returns the order in which they are admitted.
    async fn order(requests: &[(&'static str, WorkOwner)]) -> Vec<&'static str> {
        let pool = WorkPool::new(PoolLimits { slots: 1, ..LIMITS });
        let full = pool.acquire(user()).await.unwrap();
        let order: Arc<Lock<Vec<&'static str>>> = Arc::default();
        let mut tasks = Vec::new();
        for (name, owner) in requests.iter().copied() {
            let (pool, order) = (Arc::clone(&pool), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let _slot = pool.acquire_for_job(owner).await;
                order.lock().unwrap().push(name);
            }));
            settle().await;
        }
        drop(full);
        for task in tasks {
            task.await.unwrap();
        }
        order.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn waiters_are_admitted_in_rounds_by_person() {
        let (greedy, other) = (user(), user());
        let requests = [("a1", greedy), ("a2", greedy), ("a3", greedy), ("b1", other), ("s1", WorkOwner::System)];
        assert_eq!(order(&requests).await, ["a1", "b1", "s1", "a2", "a3"]);
    }

    #[tokio::test]
    async fn within_a_round_workspaces_take_turns() {
        let (large, small) = (WorkspaceId::new(), WorkspaceId::new());
        let of = |workspace| WorkOwner::User { user: UserId::new(), workspace: Some(workspace) };
        let requests = [("l1", of(large)), ("l2", of(large)), ("l3", of(large)), ("s1", of(small))];
        assert_eq!(order(&requests).await, ["l1", "s1", "l2", "l3"]);
    }

    #[tokio::test]
    async fn a_user_at_the_limit_leaves_slots_to_others() {
        let pool = WorkPool::new(LIMITS);
        let (greedy, other) = (user(), user());
        let first = pool.acquire(greedy).await.unwrap();
        let waiting = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { drop(pool.acquire(greedy).await.unwrap()) }
        });
        settle().await;
        let _other = pool.acquire(other).await.unwrap();
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn refuses_too_many_waiting_requests_with_retry_after() {
        let pool = WorkPool::new(LIMITS);
        let greedy = user();
        let held = pool.acquire(greedy).await.unwrap();
        let tasks: Vec<_> = (0..LIMITS.max_waiting)
            .map(|_| {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move { drop(pool.acquire(greedy).await.unwrap()) })
            })
            .collect();
        settle().await;
        let refusal = pool.acquire(greedy).await.unwrap_err();
        assert_eq!((refusal.code(), refusal.retry_after()), (Code::Unavailable, Some(LIMITS.max_wait)));
        drop(held);
        for task in tasks {
            task.await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_wait_too_long_are_refused_and_leave_the_queue() {
        let pool = WorkPool::new(LIMITS);
        let greedy = user();
        let held = pool.acquire(greedy).await.unwrap();
        assert_eq!(pool.acquire(greedy).await.unwrap_err().code(), Code::Unavailable);
        let counts = || {
            let state = pool.state();
            (state.running, state.waiting.len(), state.by_user.len())
        };
        assert_eq!(counts(), (1, 0, 1));
        drop(held);
        assert_eq!(counts(), (0, 0, 0));
        drop(pool.acquire(greedy).await.unwrap());
    }

    #[tokio::test]
    async fn dropped_waiters_release_their_slot() {
        let pool = WorkPool::new(PoolLimits { slots: 1, ..LIMITS });
        let held = pool.acquire(user()).await.unwrap();
        let gone = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { pool.acquire(user()).await }
        });
        settle().await;
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        drop(held);
        drop(pool.acquire(user()).await.unwrap());
        assert_eq!(pool.state().running, 0);
    }
}
