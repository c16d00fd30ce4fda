//! The writer: the only way to change a conversation.
//!
//! Changes queue up while one transaction commits; all that wait then go into the next. No timer is involved, so a lone message
//! waits for nothing, and under load the cost of a commit is shared. In one transaction: who may do what, the numbers, the messages,
//! the log and the jobs ([`batch`]; under locks or without: [`commit`]). After the commit each caller gets its answer and the news
//! goes onto the bus.

mod answers;
mod batch;
mod change;
mod commit;
mod conversations;
mod departures;
mod memory;
mod messages;
mod removed;
mod versions;

use std::{mem, sync::Arc, time::Duration};

use appcore::{
    AppError, Clock, config,
    event::{BusMessage, EventBus, Listener},
};
use dbcontext::{Database, query};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

pub use change::{
    AddAssistant, AddMember, BeginAnswer, Change, CreateConversation, Created, DeleteConversation, DeleteMessage,
    Depart, EditMessage, FinishAnswer, Outcome, Regenerate, RemoveMember, SendMessage, Sent, SetRole, ShowVersion,
    SuggestTitle, UpdateConversation,
};
use commit::{Committed, Committer};

/// Changes that go into one transaction at most.
const MAX_GROUP: usize = 256;
/// Changes that may wait; whoever comes then waits for a place.
const QUEUE: usize = 8_192;
/// One transaction, from its first statement to its commit.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);
/// What a caller waits for at most, queueing included. The change may still be committed; sending it again is safe.
const SUBMIT_TIMEOUT: Duration = Duration::from_secs(13);
/// How long the notes of told groups wait for a transaction to ride in.
const QUIET: Duration = Duration::from_millis(200);

/// Takes changes and answers when they are committed. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Submission>,
}

struct Submission {
    change: Change,
    reply: oneshot::Sender<Result<Outcome, AppError>>,
}

impl Writer {
    /// Starts the writer's task. With `relayed`, groups are noted until the bus has taken their news to the other instances.
    #[must_use]
    pub fn start(db: Database, bus: Arc<dyn EventBus>, clock: Clock, limits: config::Messages, relayed: bool) -> Self {
        let (queue, submissions) = mpsc::channel(QUEUE);
        let (told, told_groups) = mpsc::unbounded_channel();
        let committer = Committer::new(db.clone(), limits, relayed);
        let heard = bus.listen();
        let task = Task { db, bus, heard, clock, committer, told, told_groups, notes: Vec::new() };
        tokio::spawn(task.run(submissions));
        Self { queue }
    }

    /// Resolves when `change` is committed, or refused.
    pub async fn submit(&self, change: Change) -> Result<Outcome, AppError> {
        let (reply, answer) = oneshot::channel();
        let stopped = || AppError::unavailable(anyhow::anyhow!("the writer has stopped"));
        let submitted = async {
            self.queue.send(Submission { change, reply }).await.map_err(|_| stopped())?;
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
    told: mpsc::UnboundedSender<Uuid>,
    told_groups: mpsc::UnboundedReceiver<Uuid>,
    /// Groups that were told and whose notes are still there.
    notes: Vec<Uuid>,
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
                    self.commit(mem::take(&mut waiting)).await;
                }
                Some(batch) = self.told_groups.recv() => self.notes.push(batch),
                Some(message) = self.heard.recv() => self.committer.on_message(&message),
                () = tokio::time::sleep(QUIET), if !self.notes.is_empty() => self.forget_notes().await,
            }
        }
    }

    async fn commit(&mut self, batch: Vec<Submission>) {
        while let Ok(told) = self.told_groups.try_recv() {
            self.notes.push(told);
        }
        while let Ok(message) = self.heard.try_recv() {
            self.committer.on_message(&message);
        }
        let (changes, replies): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|submission| (submission.change, submission.reply)).unzip();
        // A deadlock or a lost connection is worth one more try before anybody hears of it.
        let mut result = self.attempt(&changes).await;
        if matches!(result, Err(AppError::Unavailable(_))) {
            result = self.attempt(&changes).await;
        }
        match result {
            Ok(committed) => self.conclude(committed, replies),
            Err(AppError::Unavailable(cause)) => {
                tracing::warn!(error = format!("{cause:#}"), changes = changes.len(), "a batch could not be committed");
                for reply in replies {
                    let _ = reply.send(Err(AppError::unavailable(anyhow::anyhow!("the database is away"))));
                }
            }
            Err(error) if changes.len() == 1 => {
                if let Some(reply) = replies.into_iter().next() {
                    let _ = reply.send(Err(error));
                }
            }
            // One change has made the database refuse the group; the others must not suffer for it.
            Err(error) => {
                tracing::warn!(%error, changes = changes.len(), "a batch was refused; its changes are committed one by one");
                for (change, reply) in changes.into_iter().zip(replies) {
                    match self.attempt(std::slice::from_ref(&change)).await {
                        Ok(committed) => self.conclude(committed, vec![reply]),
                        Err(error) => {
                            let _ = reply.send(Err(error));
                        }
                    }
                }
            }
        }
    }

    async fn attempt(&mut self, changes: &[Change]) -> Result<Committed, AppError> {
        let notes = mem::take(&mut self.notes);
        let committing = self.committer.commit(changes, self.clock.now(), &notes);
        let result = match tokio::time::timeout(COMMIT_TIMEOUT, committing).await {
            Ok(result) => result,
            Err(_) => Err(AppError::unavailable(anyhow::anyhow!("the commit took too long"))),
        };
        if result.is_err() {
            self.notes = notes;
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
            let told = self.told.clone();
            tokio::spawn(async move {
                if matches!(left.await, Ok(Ok(()))) {
                    let _ = told.send(batch);
                }
            });
        }
    }

    async fn forget_notes(&mut self) {
        let notes = mem::take(&mut self.notes);
        let backend = self.db.log().get_database_backend();
        let forgotten = match query::groups::remove_groups(backend, &notes) {
            // Whoever has something to commit waits behind this.
            Ok(piece) => tokio::time::timeout(COMMIT_TIMEOUT, query::execute(self.db.log(), vec![piece]))
                .await
                .unwrap_or_else(|_| Err(AppError::unavailable(anyhow::anyhow!("the database did not answer in time")))),
            Err(error) => Err(error),
        };
        if let Err(error) = forgotten {
            // The relay tells them again; receivers drop what they have.
            tracing::warn!(%error, "notes of told groups could not be removed");
        }
    }
}
