//! Password hashing on the blocking pool, with bounded concurrency and fair queueing.
//!
//! Each hash takes a core and 19 MiB for about 20 ms. More concurrent hashes than cores slow down
//! all of them, and a flood of sign-ins would exhaust the memory. So they are queued, and a full
//! queue rejects with `Retry-After`.
//!
//! There is a queue per [`Priority`]. All queues are served, those with a higher priority more
//! often. Within a queue, networks (an IPv4 address or an IPv6 /48) are served round-robin, so that
//! a hundred guesses from one customer's addresses wait for each other. Callers with recent
//! failures never get all cores.
//!
//! This is not a [work pool](appcore::work_pool). A pool reserves slots for other users and has no
//! priorities. Here the user is unknown until the password is checked, an address may stand for a
//! whole office that needs all cores, and guesses must wait for everybody else. A hash is so short
//! that round-robin suffices: another network waits for one hash on each core.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use appcore::{AppError, Code, UserId};
use tokio::{sync::oneshot, time::timeout};

use super::{
    Device,
    password_hash::{self, PasswordCheck},
};

/// Maximum time in the queue. It is shorter than the endpoint timeout of 14 seconds.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum queue length per core: about the number of hashes that a core computes in the queue
/// timeout. One network may take half of a queue. On two cores, this is enough for 500 users who
/// sign in at the same moment from behind one address.
const MAX_QUEUE_PER_CORE: usize = 600;
/// `Retry-After` of a rejected request.
const RETRY_AFTER: Duration = Duration::from_secs(3);
/// Order in which the queues are served while none is empty.
const CYCLE: [Priority; 7] = [
    Priority::Known,
    Priority::New,
    Priority::Known,
    Priority::Suspicious,
    Priority::Known,
    Priority::New,
    Priority::Known,
];

/// Priority of a caller, most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    /// Signed in, or from a network where the account was used before.
    Known,
    /// No recent failures.
    New,
    /// A recent sign-in of this account, or from this address, has failed.
    Suspicious,
}

/// Caller in the queue.
#[derive(Clone, Debug)]
pub(super) struct QueuedCaller {
    priority: Priority,
    /// Fairness key. Callers with the same key wait for each other.
    network: String,
}

impl QueuedCaller {
    pub(super) fn new(priority: Priority, device: &Device) -> Self {
        Self { priority, network: device.fairness_network() }
    }

    /// Caller who is signed in, or has presented a mailed token.
    pub(super) fn user(id: UserId) -> Self {
        Self { priority: Priority::Known, network: id.to_string() }
    }
}

pub(super) struct PasswordHasher {
    state: Arc<Mutex<State>>,
}

struct State {
    /// Free slots.
    free: usize,
    /// Maximum and current number of slots that callers with failures use.
    max_failed_slots: usize,
    suspicious: usize,
    queues: [Queue; 3],
    max_waiting: usize,
    /// Current position in the [`CYCLE`].
    cycle_position: usize,
}

impl PasswordHasher {
    pub(super) fn new() -> Self {
        Self::with_limits(std::thread::available_parallelism().map_or(1, usize::from), MAX_QUEUE_PER_CORE)
    }

    fn with_limits(cores: usize, queue_per_core: usize) -> Self {
        let state = State {
            free: cores,
            max_failed_slots: (cores / 2).max(1),
            suspicious: 0,
            queues: Default::default(),
            max_waiting: cores * queue_per_core,
            cycle_position: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    pub(super) async fn hash(&self, applicant: QueuedCaller, text: String) -> Result<String, AppError> {
        self.run(applicant, move || password_hash::hash(&text)).await
    }

    /// Verifies a password. Without a stored hash, it takes as long.
    pub(super) async fn verify(
        &self,
        applicant: QueuedCaller,
        text: String,
        stored: Option<String>,
    ) -> Result<PasswordCheck, AppError> {
        self.run(applicant, move || password_hash::verify(&text, stored.as_deref())).await
    }

    async fn run<T: Send + 'static>(
        &self,
        applicant: QueuedCaller,
        work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T, AppError> {
        let turn = self.acquire_slot(applicant).await?;
        let done = tokio::task::spawn_blocking(move || {
            // The slot is released when the work ends, even if the caller was dropped.
            let _turn = turn;
            work()
        });
        done.await.map_err(AppError::internal)?.map_err(AppError::internal)
    }

    async fn acquire_slot(&self, applicant: QueuedCaller) -> Result<HashingSlot, AppError> {
        match timeout(QUEUE_TIMEOUT, self.enqueue(applicant)?).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(dropped)) => Err(AppError::internal(dropped)),
            Err(_) => Err(busy()),
        }
    }

    /// Enqueues the caller, unless the queue is full.
    fn enqueue(&self, applicant: QueuedCaller) -> Result<oneshot::Receiver<HashingSlot>, AppError> {
        let (sender, receiver) = oneshot::channel();
        let mut state = lock(&self.state);
        let max = state.max_waiting;
        if !state.queues[applicant.priority as usize].push(applicant.network, sender, max) {
            return Err(busy());
        }
        state.assign_slots(&self.state);
        Ok(receiver)
    }
}

impl State {
    /// Assigns free slots to waiting callers.
    fn assign_slots(&mut self, shared: &Arc<Mutex<Self>>) {
        while self.free > 0
            && let Some((priority, waiting)) = self.next()
        {
            match waiting.send(HashingSlot { state: Some(Arc::clone(shared)), priority }) {
                Ok(()) => {
                    self.free -= 1;
                    self.suspicious += usize::from(priority == Priority::Suspicious);
                }
                // The caller was dropped. No slot was taken for it, so none is released.
                Err(mut unused) => unused.state = None,
            }
        }
    }

    /// Removes the next caller from the queue that is due in the cycle. If that queue is empty, the
    /// highest priority with a waiting caller is used.
    fn next(&mut self) -> Option<(Priority, oneshot::Sender<HashingSlot>)> {
        let due = CYCLE[self.cycle_position];
        let may_doubt = self.suspicious < self.max_failed_slots;
        let chosen = [due, Priority::Known, Priority::New, Priority::Suspicious].into_iter().find(|priority| {
            !self.queues[*priority as usize].order.is_empty() && (may_doubt || *priority != Priority::Suspicious)
        })?;
        self.cycle_position = (self.cycle_position + 1) % CYCLE.len();
        self.queues[chosen as usize].pop().map(|waiting| (chosen, waiting))
    }

    fn release_slot(&mut self, priority: Priority) {
        self.free += 1;
        self.suspicious -= usize::from(priority == Priority::Suspicious);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waiting callers of one priority.
#[derive(Default)]
struct Queue {
    /// Networks with waiting callers, in service order.
    order: VecDeque<String>,
    waiting: HashMap<String, VecDeque<oneshot::Sender<HashingSlot>>>,
    length: usize,
}

impl Queue {
    /// Adds a caller. Returns false if the queue is full, or if the caller's network takes up half
    /// of it.
    fn push(&mut self, neighbourhood: String, sender: oneshot::Sender<HashingSlot>, max: usize) -> bool {
        if self.length >= max {
            self.remove_dropped();
        }
        let neighbours = self.waiting.get(&neighbourhood).map_or(0, VecDeque::len);
        if self.length >= max || neighbours >= max.div_ceil(2) {
            return false;
        }
        if neighbours == 0 {
            self.order.push_back(neighbourhood.clone());
        }
        self.waiting.entry(neighbourhood).or_default().push_back(sender);
        self.length += 1;
        true
    }

    fn pop(&mut self) -> Option<oneshot::Sender<HashingSlot>> {
        let neighbourhood = self.order.pop_front()?;
        let waiting = self.waiting.get_mut(&neighbourhood)?;
        let first = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&neighbourhood);
        } else {
            self.order.push_back(neighbourhood);
        }
        self.length -= usize::from(first.is_some());
        first
    }

    /// Removes callers that were dropped.
    fn remove_dropped(&mut self) {
        self.waiting.retain(|_, waiting| {
            waiting.retain(|sender| !sender.is_closed());
            !waiting.is_empty()
        });
        self.order.retain(|neighbourhood| self.waiting.contains_key(neighbourhood));
        self.length = self.waiting.values().map(VecDeque::len).sum();
    }
}

/// Slot for one hash, released on drop.
struct HashingSlot {
    /// State to return the slot to; `None` if no slot was taken.
    state: Option<Arc<Mutex<State>>>,
    priority: Priority,
}

impl Drop for HashingSlot {
    fn drop(&mut self) {
        if let Some(shared) = self.state.take() {
            let mut state = lock(&shared);
            state.release_slot(self.priority);
            state.assign_slots(&shared);
        }
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
    use super::*;

    fn from(priority: Priority, address: &str) -> QueuedCaller {
        QueuedCaller::new(priority, &Device::new(None, Some(address.parse().unwrap())))
    }

    fn is_refused(result: Result<oneshot::Receiver<HashingSlot>, AppError>) -> bool {
        result.is_err_and(|error| error.code() == Code::Unavailable && error.retry_after() == Some(RETRY_AFTER))
    }

    #[test]
    fn full_queue_rejects_and_freed_slot_is_taken() {
        let hashing = PasswordHasher::with_limits(1, 2);
        let turn = hashing.enqueue(from(Priority::New, "192.0.2.1")).unwrap().try_recv().unwrap();
        let mut second = hashing.enqueue(from(Priority::New, "192.0.2.1")).unwrap();
        assert!(is_refused(hashing.enqueue(from(Priority::New, "192.0.2.1"))), "a network may take half of the queue");
        let third = hashing.enqueue(from(Priority::New, "192.0.2.2")).unwrap();
        assert!(is_refused(hashing.enqueue(from(Priority::New, "192.0.2.3"))));
        hashing.enqueue(from(Priority::Known, "192.0.2.3")).map(drop).unwrap();
        drop(third);
        let mut fourth = hashing.enqueue(from(Priority::New, "192.0.2.3")).unwrap();
        assert!(second.try_recv().is_err());
        drop(turn);
        let second = second.try_recv().unwrap();
        assert!(fourth.try_recv().is_err(), "only one core");
        drop(second);
        drop(fourth.try_recv().unwrap());
        assert_eq!(lock(&hashing.state).free, 1);
    }

    #[test]
    fn slot_of_a_dropped_caller_is_passed_on() {
        let hashing = PasswordHasher::with_limits(1, 10);
        let turn = hashing.enqueue(from(Priority::New, "192.0.2.1")).unwrap().try_recv().unwrap();
        let gone = hashing.enqueue(from(Priority::New, "192.0.2.1")).unwrap();
        let held = hashing.enqueue(from(Priority::New, "192.0.2.1")).unwrap();
        let mut last = hashing.enqueue(from(Priority::New, "192.0.2.1")).unwrap();
        drop(gone);
        drop(turn);
        // The slot is already in the channel when the caller is dropped without receiving it.
        drop(held);
        drop(last.try_recv().unwrap());
        assert_eq!(lock(&hashing.state).free, 1);
    }

    #[test]
    fn five_hundred_users_behind_one_address_fit_and_others_wait_for_one() {
        let hashing = PasswordHasher::with_limits(2, MAX_QUEUE_PER_CORE);
        let from_office = || hashing.enqueue(from(Priority::New, "192.0.2.1")).unwrap();
        let [first, second] = [(); 2].map(|()| from_office().try_recv().unwrap());
        let mut office: Vec<_> = (0..500).map(|_| from_office()).collect();
        let mut elsewhere = hashing.enqueue(from(Priority::New, "203.0.113.1")).unwrap();
        drop(first);
        assert!(elsewhere.try_recv().is_err(), "a caller of the office is next");
        drop(second);
        drop(elsewhere.try_recv().unwrap());
        let served = office.iter_mut().filter_map(|receiver| receiver.try_recv().ok());
        assert_eq!(served.count(), 500);
        assert_eq!(lock(&hashing.state).free, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_times_out() {
        let hashing = PasswordHasher::with_limits(1, 2);
        let _turn = hashing.acquire_slot(from(Priority::New, "192.0.2.1")).await.unwrap();
        let refused = hashing.acquire_slot(from(Priority::New, "192.0.2.1")).await.map(drop).unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
    }

    /// Runs all waiting hashes one after the other, and returns their order.
    fn order(
        mut turn: HashingSlot,
        mut waiting: Vec<(&'static str, oneshot::Receiver<HashingSlot>)>,
    ) -> Vec<&'static str> {
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(turn);
            let next =
                waiting.iter_mut().enumerate().find_map(|(at, (_, receiver))| Some((at, receiver.try_recv().ok()?)));
            let (at, next) = next.expect("a free slot is assigned");
            turn = next;
            order.push(waiting.remove(at).0);
        }
        order
    }

    #[test]
    fn guesses_from_many_addresses_do_not_delay_others() {
        let hashing = PasswordHasher::with_limits(1, 200);
        let turn = hashing.enqueue(from(Priority::New, "192.0.2.1")).unwrap().try_recv().unwrap();
        let mut waiting = Vec::new();
        let mut come = |name, priority, address: String| {
            waiting.push((name, hashing.enqueue(from(priority, &address)).unwrap()));
        };
        for n in 0..60 {
            // Guesses arrive from an IPv6 /48 without failures so far, and from many addresses with
            // failures.
            come("guess", Priority::New, format!("2001:db8:7:{n:x}::1"));
            come("doubted", Priority::Suspicious, format!("198.51.100.{n}"));
        }
        come("newcomer", Priority::New, "203.0.113.1".into());
        come("owner", Priority::Known, "203.0.113.2".into());
        let order = order(turn, waiting);
        let place = |name: &str| order.iter().position(|turn| *turn == name).unwrap();
        assert!(place("owner") <= 1, "{order:?}");
        assert!(place("newcomer") <= 4, "{order:?}");
        // Callers with failures are served too, but late.
        assert_eq!(order.iter().filter(|turn| **turn == "doubted").count(), 60);
        assert!(place("doubted") <= 6, "{order:?}");
    }

    #[test]
    fn callers_with_failures_never_get_all_cores() {
        let hashing = PasswordHasher::with_limits(4, 200);
        let mut doubted: Vec<_> =
            (0..4).map(|n| hashing.enqueue(from(Priority::Suspicious, &format!("192.0.2.{n}"))).unwrap()).collect();
        let turns: Vec<HashingSlot> = doubted.iter_mut().filter_map(|receiver| receiver.try_recv().ok()).collect();
        assert_eq!(turns.len(), 2);
        for n in 0..2 {
            std::mem::forget(
                hashing.enqueue(from(Priority::New, &format!("192.0.2.{n}"))).unwrap().try_recv().unwrap(),
            );
        }
        drop(turns);
        assert_eq!(doubted.iter_mut().filter_map(|receiver| receiver.try_recv().ok()).count(), 2);
    }
}
