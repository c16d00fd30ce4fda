//! Web Push: notifies the devices of users who aren't looking at the app.
//!
//! A [job](PushJob) is stored with each notification of a user who has a device. It runs after a
//! short delay. It does nothing if by then the notification has been read, or if a connection on
//! any instance shows the conversation. When a user reads notifications on one device, an empty
//! message closes them on the other devices.

mod deliver;
mod encryption;
mod job;
mod vapid;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use appcore::{
    AppError, ConversationId, Timestamp, UserId,
    auth::Principal,
    config::Config,
    event::{BusMessage, Signal},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use dbcontext::{
    Database,
    query::{
        self,
        jobs::NewJob,
        notifications::{NotificationKey, NotificationRow, Withdrawn},
        push::{self as rows, Subscription},
    },
};
use sea_orm::ConnectionTrait;
use tokio::sync::Notify;
use url::Url;
use uuid::Uuid;

pub(crate) use deliver::{DeliveryOutcome, PushMessage, deliver};
pub use job::PushJob;
use jobs::JobPayload as _;

use crate::EventLogService;

/// Maximum number of devices per user.
const MAX_DEVICES: u32 = 10;
/// Maximum length of a push endpoint.
const MAX_ENDPOINT: usize = 2_000;
/// Delay of a push. Gives a user who is looking at the app the time to read the message first.
const PUSH_DELAY: Duration = Duration::from_millis(1_500);
/// Timeout for answers of other instances. Reached only if the user is online but no connection
/// shows the conversation.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// VAPID key, and questions to other instances that are not answered yet.
pub struct Push {
    vapid: vapid::Vapid,
    /// Pending questions to all instances; the first positive answer completes a question.
    questions: Mutex<HashMap<Uuid, Arc<Notify>>>,
}

/// True if push services get a contact that they accept.
#[must_use]
pub fn has_contact(config: &Config) -> bool {
    vapid::contact(config).is_some()
}

impl Push {
    pub async fn load(db: &Database, config: &Config) -> anyhow::Result<Self> {
        Ok(Self { vapid: vapid::Vapid::load(db, config).await?, questions: Mutex::default() })
    }

    /// Records that an instance has answered a question with yes: one of its connections shows the
    /// conversation.
    pub fn record_answer(&self, question: Uuid) {
        if let Some(asked) = self.lock_questions().get(&question) {
            asked.notify_one();
        }
    }

    fn lock_questions(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Notify>>> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the public VAPID key of this server.
#[must_use]
pub fn key(service: &EventLogService) -> &str {
    &service.push.vapid.public
}

/// Registers a device of the caller for push notifications.
pub async fn subscribe(
    service: &EventLogService,
    by: &Principal,
    endpoint: &str,
    p256dh: &str,
    auth: &str,
) -> Result<(), AppError> {
    let session = by.require_session()?;
    let url = parse_endpoint(endpoint)?;
    service
        .outgoing
        .check(&url)
        .map_err(|_| AppError::field("endpoint", "invalid", "This server isn't allowed to connect to this address."))?;
    let p256dh = decode_base64url("keys.p256dh", p256dh)?;
    if !encryption::is_public_key(&p256dh) {
        return Err(AppError::field("keys.p256dh", "invalid", "This isn't a public key."));
    }
    let auth = decode_base64url("keys.auth", auth)?;
    if auth.len() != encryption::AUTH {
        return Err(AppError::field("keys.auth", "invalid", "This isn't a secret of 16 bytes."));
    }
    let new = Subscription { id: Uuid::now_v7(), endpoint: url.to_string(), p256dh, auth };
    rows::subscribe(service.db.writer(), (by.user_id, session), &new, service.clock.now(), MAX_DEVICES).await
}

/// Removes a device of the caller. Idempotent.
pub async fn unsubscribe(service: &EventLogService, by: &Principal, endpoint: &str) -> Result<(), AppError> {
    rows::unsubscribe(service.db.writer(), by.user_id, parse_endpoint(endpoint)?.as_str()).await.map(drop)
}

/// Parses the endpoint URL of a device.
fn parse_endpoint(endpoint: &str) -> Result<Url, AppError> {
    let url = Url::parse(endpoint).ok().filter(|_| endpoint.len() <= MAX_ENDPOINT);
    url.ok_or_else(|| AppError::field("endpoint", "invalid", "This isn't the address of a push service."))
}

fn decode_base64url(field: &'static str, text: &str) -> Result<Vec<u8>, AppError> {
    let text = text.trim_end_matches('=');
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| AppError::field(field, "invalid", "This isn't base64url."))
}

/// Enqueues pushes of new notifications, in the transaction that stores them. Returns true if any
/// recipient has a device.
pub(crate) async fn enqueue<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    new: &[NotificationRow],
) -> Result<bool, AppError> {
    let people: Vec<UserId> = new.iter().filter(|row| !row.silent).map(|row| row.user_id).collect();
    if people.is_empty() {
        return Ok(false);
    }
    let with_device = rows::subscribers_among(db, &people).await?;
    let jobs = new.iter().filter(|row| !row.silent && with_device.contains(&row.user_id));
    let jobs = jobs.map(|row| {
        // Enqueued on behalf of the sender, so that a mention of a thousand users doesn't delay the
        // pushes of other senders.
        let owner = row.actor_id.map_or(row.user_id, UserId);
        PushJob::wake(row.user_id, row.id, row.conversation_id).new_job_for(owner)
    });
    store(db, now, jobs.collect::<Result<_, AppError>>()?, PUSH_DELAY).await
}

/// Enqueues jobs that remove withdrawn notifications from devices.
pub(crate) async fn enqueue_withdrawn<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    withdrawn: &[Withdrawn],
) -> Result<(), AppError> {
    let shown = withdrawn.iter().filter(|one| one.pushed);
    let places: BTreeSet<_> = shown.map(|one| (one.user_id, one.conversation_id)).collect();
    let jobs = places.into_iter().map(|(user_id, place)| new_withdrawal_job(user_id, place));
    store(db, now, jobs.collect::<Result<_, _>>()?, Duration::ZERO).await.map(drop)
}

/// Enqueues jobs that remove read notifications from devices.
pub(crate) async fn enqueue_read<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    told: &[NotificationKey],
) -> Result<bool, AppError> {
    if told.is_empty() {
        return Ok(false);
    }
    let woken = rows::pushed_among(db, told).await?;
    let jobs = woken.iter().map(|one| new_withdrawal_job(one.user_id, one.conversation_id));
    store(db, now, jobs.collect::<Result<_, _>>()?, Duration::ZERO).await
}

fn new_withdrawal_job(user: UserId, place: Option<ConversationId>) -> Result<NewJob, AppError> {
    PushJob::withdraw(user, place).new_job_for(user)
}

async fn store<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    jobs: Vec<NewJob>,
    wait: Duration,
) -> Result<bool, AppError> {
    if jobs.is_empty() {
        return Ok(false);
    }
    let piece = query::jobs::insert_after(db.get_database_backend(), jobs, now, wait)?;
    query::execute(db, vec![piece]).await?;
    Ok(true)
}

/// True if a connection of the user on any instance shows the conversation.
pub(crate) async fn is_shown(service: &EventLogService, user_id: UserId, conversation_id: ConversationId) -> bool {
    let (question, answered) = (Uuid::now_v7(), Arc::new(Notify::new()));
    service.push.lock_questions().insert(question, Arc::clone(&answered));
    drop(service.bus.publish(vec![BusMessage::Signal(Signal::ViewQuery { question, user_id, conversation_id })]));
    let is_shown = tokio::time::timeout(ANSWER_TIMEOUT, answered.notified()).await.is_ok();
    service.push.lock_questions().remove(&question);
    is_shown
}
