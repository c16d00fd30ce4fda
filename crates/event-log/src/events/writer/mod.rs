//! The writer: the only way to change a conversation.
//!
//! Changes queue up while one transaction commits; all that wait then go into the next. No timer is involved, so a lone message
//! waits for nothing, and under load the cost of a commit is shared. In one transaction: who may do what, the numbers, the messages,
//! the log and the jobs ([`batch`]; under locks or without: [`commit`]). After the commit each caller gets its answer and the news
//! goes onto the bus.

mod answers;
mod asked;
mod batch;
mod change;
mod commit;
mod comparisons;
mod conversations;
mod departures;
mod edits;
mod files;
mod limits;
mod memory;
mod mentions;
mod messages;
mod moderation;
mod polls;
mod reactions;
mod removed;
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
use telemetry::{Kind, Span};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use uuid::Uuid;

pub use change::{
    Actor, AskAgain, BeginAnswer, Change, CreateConversation, Created, DeleteMessage, EditMessage, FinishAnswer,
    HideMessage, InThread, MemberAction, Outcome, Pin, React, SendMessage, Sent, ServerAction, SetPreviews,
    SetTranscript, Solve, UpdateConversation, Vote,
};
use commit::{Committed, Committer};
pub use files::no_such_file;
use jobs::caught;
pub use limits::Limits;

/// Changes that go into one transaction at most.
const MAX_GROUP: usize = 256;
/// Changes that may wait; whoever comes then waits for a place.
const QUEUE: usize = 8_192;
/// One transaction, from its first statement to its commit. Two of them fit into what a caller waits: a connection that has gone silent
/// costs the changes that were on it one attempt.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);
/// A writer that has worked on one batch for so long is stuck, and the instance not healthy.
const STUCK: Duration = Duration::from_secs(15);
/// What a caller waits for at most, queueing included. The change may still be committed; sending it again is safe.
const SUBMIT_TIMEOUT: Duration = Duration::from_secs(13);
/// How long acknowledged outbox entries wait for a transaction that removes them along with what it commits.
const REMOVAL_DELAY: Duration = Duration::from_millis(200);

/// Takes changes and answers when they are committed. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Submission>,
    /// Since when it has worked on the batch in hand.
    busy_since: Arc<Mutex<Option<Instant>>>,
}

struct Submission {
    change: Change,
    /// What it came of, for traces.
    traceparent: Option<String>,
    reply: oneshot::Sender<Result<Outcome, AppError>>,
}

impl Writer {
    /// Starts the writer's task. With `relayed`, each batch has an outbox entry until the bus has taken its events to the other instances.
    #[must_use]
    pub fn start(db: Database, bus: Arc<dyn EventBus>, clock: Clock, limits: Limits, relayed: bool) -> Self {
        let (queue, submissions) = mpsc::channel(QUEUE);
        let committer = Committer::new(db.clone(), limits, relayed);
        let heard = bus.listen();
        let busy_since = Arc::default();
        let task =
            Task { db, bus, heard, clock, committer, outbox: Outbox::new(), busy_since: Arc::clone(&busy_since) };
        tokio::spawn(task.run(submissions));
        Self { queue, busy_since }
    }

    /// Whether changes can be expected to be committed: the writer lives, and has not stood on one batch for too long.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        let busy_since = *self.busy_since.lock().unwrap_or_else(PoisonError::into_inner);
        !self.queue.is_closed() && busy_since.is_none_or(|since| since.elapsed() < STUCK)
    }

    /// Changes that wait for the batch in hand.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Resolves when `change` is committed, or refused.
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
            Err(_) => Err(AppError::unavailable(anyhow::anyhow!("the writer took too long"))),
        }
    }
}

struct Task {
    db: Database,
    bus: Arc<dyn EventBus>,
    /// What may concern what the committer remembers.
    heard: Listener,
    clock: Clock,
    committer: Committer,
    outbox: Outbox,
    busy_since: Arc<Mutex<Option<Instant>>>,
}

/// The outbox entries that the bus has acknowledged and that are still in the database.
struct Outbox {
    acknowledge: mpsc::UnboundedSender<Uuid>,
    acknowledged: mpsc::UnboundedReceiver<Uuid>,
    entries: Vec<Uuid>,
    /// When they are removed if no transaction has taken them along: set by the first, and not put off by what comes after it.
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

    fn put_back(&mut self, entries: Vec<Uuid>) {
        entries.into_iter().for_each(|entry| self.add(entry));
    }
}

impl Task {
    async fn run(mut self, mut submissions: mpsc::Receiver<Submission>) {
        let mut waiting = Vec::new();
        loop {
            tokio::select! {
                biased;
                count = submissions.recv_many(&mut waiting, MAX_GROUP) => {
                    if count == 0 {
                        break;
                    }
                    self.set_busy_since(Some(Instant::now()));
                    self.commit(mem::take(&mut waiting)).await;
                    self.set_busy_since(None);
                }
                // Before what the bus says, which may never pause.
                () = sleep_until(self.outbox.remove_at) => self.remove_acknowledged().await,
                Some(entry) = self.outbox.acknowledged.recv() => self.outbox.add(entry),
                Some(message) = self.heard.recv() => self.committer.on_message(&message),
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
        while let Ok(message) = self.heard.try_recv() {
            self.committer.on_message(&message);
        }
        // What needs locks is committed by itself, so that messages don't wait for them; but those of a conversation stay in their order.
        let with_files: BTreeSet<ConversationId> = batch
            .iter()
            .filter(|submission| submission.change.has_files())
            .filter_map(|submission| submission.change.conversation_id())
            .collect();
        let is_behind = |change: &Change| change.conversation_id().is_some_and(|id| with_files.contains(&id));
        let (unlocked, locked): (Vec<_>, Vec<_>) = batch.into_iter().partition(|submission| {
            self.committer.may_go_unlocked(&submission.change) && !is_behind(&submission.change)
        });
        for part in [unlocked, locked] {
            if !part.is_empty() {
                let span = trace(&part);
                span.around(self.commit_part(part)).await;
            }
        }
    }

    async fn commit_part(&mut self, part: Vec<Submission>) {
        let (changes, replies): (Vec<_>, Vec<_>) =
            part.into_iter().map(|submission| (submission.change, submission.reply)).unzip();
        // A deadlock or a lost connection is worth one more try before anybody hears of it.
        let begun = Instant::now();
        let mut result = self.attempt(&changes, None).await;
        if matches!(result, Err(AppError::Unavailable(_))) {
            let unsure = self.committer.take_unsure();
            result = self.attempt(&changes, unsure).await;
        }
        metrics().events.committed(changes.len(), begun.elapsed(), result.is_ok());
        match result {
            Ok(committed) => self.conclude(committed, replies),
            Err(AppError::Unavailable(cause)) => {
                tracing::warn!(error = format!("{cause:#}"), changes = changes.len(), "a batch could not be committed");
                for reply in replies {
                    let _ = reply.send(Err(AppError::unavailable(anyhow::anyhow!("the database is away"))));
                }
            }
            // Each by itself would fare no better.
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
            // One change has made the database refuse the batch; the others must not suffer for it.
            Err(error) => {
                tracing::warn!(%error, changes = changes.len(), "a batch was refused; its changes are committed one by one");
                for (change, reply) in changes.into_iter().zip(replies) {
                    match self.attempt(std::slice::from_ref(&change), None).await {
                        Ok(committed) => self.conclude(committed, vec![reply]),
                        Err(error) => {
                            let _ = reply.send(Err(error));
                        }
                    }
                }
            }
        }
    }

    /// Commits `changes` in one transaction; `unsure` is what an earlier attempt may have committed.
    async fn attempt(&mut self, changes: &[Change], unsure: Option<Committed>) -> Result<Committed, AppError> {
        let acknowledged = self.outbox.take();
        let now = self.clock.now();
        let committing = async {
            match unsure {
                None => self.committer.commit(changes, now, &acknowledged).await,
                Some(unsure) => self.committer.commit_again(changes, now, &acknowledged, unsure).await,
            }
        };
        // A change that panics is refused like one that the database refuses: nothing more would ever be committed here.
        let result = caught(self.db.commit_within(COMMIT_TIMEOUT, committing)).await;
        if result.is_err() {
            self.outbox.put_back(acknowledged);
        }
        result
    }

    /// Answers the callers and tells everyone.
    fn conclude(&self, committed: Committed, replies: Vec<oneshot::Sender<Result<Outcome, AppError>>>) {
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
        // Whoever has something to commit waits behind this.
        let removed = self.db.commit_within(COMMIT_TIMEOUT, query::execute(self.db.log(), removal)).await;
        if let Err(error) = removed {
            // The relay publishes them again; receivers drop what they have.
            tracing::warn!(%error, "acknowledged outbox entries could not be removed");
        }
    }
}

/// A lone change is committed within what it came of; a transaction of several is linked to each.
fn trace(part: &[Submission]) -> Span {
    let [only] = part else {
        let span = Span::begin(Kind::Internal, "commit");
        for submission in part {
            span.follow(submission.traceparent.as_deref());
        }
        span.set("natter.changes", i64::try_from(part.len()).unwrap_or(i64::MAX));
        return span;
    };
    Span::within(Kind::Internal, "commit", only.traceparent.as_deref())
}

/// Never, where there is no moment.
async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
