//! Writer: the only component that changes conversations.
//!
//! While a transaction commits, further changes are queued; the next transaction takes all of them.
//! No timer is involved: a single message isn't delayed, and under load changes share the cost of a
//! commit. One transaction covers authorisation, numbering, messages, log and jobs ([`batch`]; with
//! or without locks: [`commit`]). After the commit, callers get their results and the events are
//! published on the bus.

mod addressed_assistants;
mod answers;
mod batch;
mod change;
mod commit;
mod comparisons;
mod conversation_cache;
mod conversations;
mod departures;
mod edits;
mod files;
mod limits;
mod log_redaction;
mod mentions;
mod messages;
mod moderation;
mod polls;
mod reactions;
mod statements;
mod threads;
mod versions;

use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use appcore::{
    AppError, Clock, Code, ConversationId,
    event::{BusMessage, EventBus, Listener},
};
use dbcontext::{
    Database,
    constraint::{is_read_only, read_only},
    query,
};
use metrics::metrics;
use telemetry::{Span, SpanRole};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use uuid::Uuid;

pub use change::{
    Actor, Change, CreateConversation, Created, DeleteMessage, EditMessage, EditPrompt, FinishAnswer, HideMessage,
    InThread, MemberAction, Outcome, Pin, React, SendMessage, Sent, ServerAction, SetPreviews, SetTranscript, Solve,
    StartAnswer, UpdateConversation, Vote,
};
pub use commit::Outboxes;
use commit::{Committed, Committer};
pub use files::attachment_not_found;
use jobs::catch_panic;
pub use limits::Limits;

use super::partitions::MessagePartitions;

/// Maximum number of changes per transaction.
const MAX_BATCH_SIZE: usize = 256;
/// Capacity of the queue; further submissions wait for a free slot.
const QUEUE_CAPACITY: usize = 8_192;
/// Timeout of one transaction, from its first statement to its commit. Two attempts fit into
/// [`SUBMIT_TIMEOUT`], so if a connection stops responding, its changes lose only one attempt.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);
/// Processing time of one batch after which the writer counts as stuck and the instance as
/// unhealthy.
const STUCK_AFTER: Duration = Duration::from_secs(15);
/// Timeout of a submission, including the time in the queue. After a timeout, the change may still
/// be committed; resending it is safe.
const SUBMIT_TIMEOUT: Duration = Duration::from_secs(13);
/// Delay after which acknowledged outbox entries are removed by a separate statement, if no
/// transaction has removed them before.
const REMOVAL_DELAY: Duration = Duration::from_millis(200);

/// Handle of the writer. Accepts changes and returns their outcomes when they are committed. Cheap
/// to clone.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Submission>,
    /// Time at which the batch in progress was started.
    busy_since: Arc<Mutex<Option<Instant>>>,
    partitions: MessagePartitions,
}

struct Submission {
    change: Change,
    /// Trace context of the caller.
    traceparent: Option<String>,
    reply: oneshot::Sender<Result<Outcome, AppError>>,
}

impl Writer {
    /// Starts the writer's task.
    #[must_use]
    pub fn start(
        db: Database,
        bus: Arc<dyn EventBus>,
        clock: Clock,
        limits: Limits,
        outboxes: Outboxes,
        partitions: MessagePartitions,
    ) -> Self {
        let (queue, submissions) = mpsc::channel(QUEUE_CAPACITY);
        let committer = Committer::new(db.clone(), limits, outboxes, partitions.clone());
        let heard = bus.subscribe();
        let busy_since = Arc::default();
        let task = Task {
            db,
            bus,
            bus_messages: heard,
            clock,
            committer,
            outbox: Outbox::new(),
            busy_since: Arc::clone(&busy_since),
        };
        tokio::spawn(task.run(submissions));
        Self { queue, busy_since, partitions }
    }

    pub(super) const fn partitions(&self) -> &MessagePartitions {
        &self.partitions
    }

    /// True if the writer can commit changes: its task is running and isn't stuck on a batch.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        let busy_since = *self.busy_since.lock().unwrap_or_else(PoisonError::into_inner);
        !self.queue.is_closed() && busy_since.is_none_or(|since| since.elapsed() < STUCK_AFTER)
    }

    /// Number of queued changes.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Submits a change and waits until it is committed or refused.
    pub async fn submit(&self, change: Change) -> Result<Outcome, AppError> {
        let (reply, answer) = oneshot::channel();
        let stopped = || AppError::unavailable(anyhow::anyhow!("the writer has stopped"));
        let submitted = async {
            self.queue
                .send(Submission { change, traceparent: telemetry::traceparent(), reply })
                .await
                .map_err(|_| stopped())?;
            answer.await.map_err(|_| stopped())?
        };
        match tokio::time::timeout(SUBMIT_TIMEOUT, submitted).await {
            Ok(answer) => answer,
            Err(_) => Err(AppError::unavailable(anyhow::anyhow!("writer timed out"))),
        }
    }
}

struct Task {
    db: Database,
    bus: Arc<dyn EventBus>,
    /// Bus messages that may invalidate the committer's cache.
    bus_messages: Listener,
    clock: Clock,
    committer: Committer,
    outbox: Outbox,
    busy_since: Arc<Mutex<Option<Instant>>>,
}

/// Outbox entries that the bus has acknowledged and that are still in the database.
struct Outbox {
    acknowledge: mpsc::UnboundedSender<Uuid>,
    acknowledged: mpsc::UnboundedReceiver<Uuid>,
    entries: Vec<Uuid>,
    /// Time at which the entries are removed if no transaction has done it before. Set by the first
    /// entry and not postponed by later ones.
    remove_at: Option<Instant>,
}

impl Outbox {
    fn new() -> Self {
        let (acknowledge, acknowledged) = mpsc::unbounded_channel();
        Self { acknowledge, acknowledged, entries: Vec::new(), remove_at: None }
    }

    fn add(&mut self, entry: Uuid) {
        self.entries.push(entry);
        self.remove_at.get_or_insert_with(|| Instant::now() + REMOVAL_DELAY);
    }

    fn take(&mut self) -> Vec<Uuid> {
        self.remove_at = None;
        mem::take(&mut self.entries)
    }

    fn requeue(&mut self, entries: Vec<Uuid>) {
        entries.into_iter().for_each(|entry| self.add(entry));
    }
}

impl Task {
    async fn run(mut self, mut submissions: mpsc::Receiver<Submission>) {
        let mut waiting = Vec::new();
        loop {
            tokio::select! {
                biased;
                count = submissions.recv_many(&mut waiting, MAX_BATCH_SIZE) => {
                    if count == 0 {
                        break;
                    }
                    self.set_busy_since(Some(Instant::now()));
                    self.commit(mem::take(&mut waiting)).await;
                    self.set_busy_since(None);
                }
                // Comes before the bus messages, whose stream may never pause.
                () = sleep_until(self.outbox.remove_at) => self.remove_acknowledged().await,
                Some(entry) = self.outbox.acknowledged.recv() => self.outbox.add(entry),
                Some(message) = self.bus_messages.recv() => self.committer.on_message(&message),
            }
        }
    }

    fn set_busy_since(&self, since: Option<Instant>) {
        *self.busy_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    async fn commit(&mut self, batch: Vec<Submission>) {
        while let Ok(entry) = self.outbox.acknowledged.try_recv() {
            self.outbox.add(entry);
        }
        while let Ok(message) = self.bus_messages.try_recv() {
            self.committer.on_message(&message);
        }
        // Changes that need locks are committed separately so that messages don't wait for them.
        // The order within a conversation is preserved.
        let with_files: BTreeSet<ConversationId> = batch
            .iter()
            .filter(|submission| submission.change.has_files())
            .filter_map(|submission| submission.change.conversation_id())
            .collect();
        let is_behind = |change: &Change| change.conversation_id().is_some_and(|id| with_files.contains(&id));
        let (unlocked, locked): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .partition(|submission| self.committer.is_lock_free(&submission.change) && !is_behind(&submission.change));
        for part in [unlocked, locked] {
            if !part.is_empty() {
                let span = trace(&part, self.db.kind());
                span.scope(self.commit_part(part)).await;
            }
        }
    }

    async fn commit_part(&mut self, part: Vec<Submission>) {
        let (changes, replies): (Vec<_>, Vec<_>) =
            part.into_iter().map(|submission| (submission.change, submission.reply)).unzip();
        // A deadlock or a lost connection is retried once before callers get an error.
        let begun = Instant::now();
        let mut result = self.attempt(&changes, None).await;
        if matches!(result, Err(AppError::Unavailable(_))) {
            let unsure = self.committer.take_uncertain();
            result = self.attempt(&changes, unsure).await;
        }
        metrics().events.record_commit(changes.len(), begun.elapsed(), result.is_ok());
        match result {
            Ok(committed) => self.publish_outcomes(committed, replies),
            Err(AppError::Unavailable(cause)) => {
                tracing::warn!(error = format!("{cause:#}"), changes = changes.len(), "failed to commit batch");
                for reply in replies {
                    let _ = reply.send(Err(AppError::unavailable(anyhow::anyhow!("database unavailable"))));
                }
            }
            // On a full disk, committing the changes one by one would fail as well.
            Err(error) if error.code() == Code::StorageFull => {
                for reply in replies {
                    let _ = reply.send(Err(Code::StorageFull.into()));
                }
            }
            Err(error) if is_read_only(&error) => {
                for reply in replies {
                    let _ = reply.send(Err(read_only()));
                }
            }
            Err(error) if changes.len() == 1 => {
                if let Some(reply) = replies.into_iter().next() {
                    let _ = reply.send(Err(error));
                }
            }
            // The database has rejected the batch because of one change. The other changes must not
            // fail because of it.
            Err(error) => {
                tracing::warn!(%error, changes = changes.len(), "batch rejected, committing its changes one by one");
                for (change, reply) in changes.into_iter().zip(replies) {
                    match self.attempt(std::slice::from_ref(&change), None).await {
                        Ok(committed) => self.publish_outcomes(committed, vec![reply]),
                        Err(error) => {
                            let _ = reply.send(Err(error));
                        }
                    }
                }
            }
        }
    }

    /// Commits `changes` in one transaction. `unsure` is the result of an earlier attempt that may
    /// have been committed.
    async fn attempt(&mut self, changes: &[Change], unsure: Option<Committed>) -> Result<Committed, AppError> {
        let acknowledged = self.outbox.take();
        let now = self.clock.now();
        let committing = async {
            match unsure {
                None => self.committer.commit(changes, now, &acknowledged).await,
                Some(unsure) => self.committer.commit_uncertain(changes, now, &acknowledged, unsure).await,
            }
        };
        // A change that panics is handled like one that the database rejects; otherwise the
        // writer's task would end.
        let result = catch_panic(self.db.commit_within(COMMIT_TIMEOUT, committing)).await;
        if result.is_err() {
            self.outbox.requeue(acknowledged);
        }
        result
    }

    /// Sends the outcomes to the callers and publishes the events.
    fn publish_outcomes(&self, committed: Committed, replies: Vec<oneshot::Sender<Result<Outcome, AppError>>>) {
        let Committed { outcomes, envelopes, signals, batch } = committed;
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            let _ = reply.send(outcome);
        }
        let messages: Vec<BusMessage> = envelopes
            .into_iter()
            .map(|envelopes| BusMessage::Envelope(Arc::new(envelopes)))
            .chain(signals.into_iter().map(BusMessage::Signal))
            .collect();
        if messages.is_empty() {
            return;
        }
        let left = self.bus.publish(messages);
        if let Some(batch) = batch {
            let acknowledge = self.outbox.acknowledge.clone();
            tokio::spawn(async move {
                if matches!(left.await, Ok(Ok(()))) {
                    let _ = acknowledge.send(batch);
                }
            });
        }
    }

    async fn remove_acknowledged(&mut self) {
        let entries = self.outbox.take();
        let removal = vec![query::batches::remove_outbox_entries(&entries)];
        // Changes that are submitted meanwhile wait until this statement is done.
        let removed = self.db.commit_within(COMMIT_TIMEOUT, query::execute(self.db.log(), removal)).await;
        if let Err(error) = removed {
            // If the entries remain, the outbox publisher publishes the events again; receivers
            // drop duplicates.
            tracing::warn!(%error, "failed to remove acknowledged outbox entries");
        }
    }
}

/// Span of a transaction in a database of this kind. A transaction with a single change runs in the span of its caller; a
/// transaction of several is linked to the span of each caller.
fn trace(part: &[Submission], database: &'static str) -> Span {
    let [only] = part else {
        let span = Span::start(SpanRole::Internal, "commit");
        span.set_attribute("db.system.name", database);
        for submission in part {
            span.link(submission.traceparent.as_deref());
        }
        span.set_attribute("natter.changes", i64::try_from(part.len()).unwrap_or(i64::MAX));
        return span;
    };
    let span = Span::start_within(SpanRole::Internal, "commit", only.traceparent.as_deref());
    span.set_attribute("db.system.name", database);
    span
}

/// Sleeps until `moment`; never resolves if `moment` is `None`.
async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
