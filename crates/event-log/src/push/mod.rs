//! Web Push: devices that are woken for what somebody is told of while nobody looks.
//!
//! Of what somebody is to be told a [job](PushJob) is stored with it, for those who have a device. It waits a moment, and wakes nobody for what is
//! read by then or is before somebody's eyes: it asks all instances whether a connection of theirs shows the conversation. What was pushed and is
//! read elsewhere is taken from the other devices by an empty message.

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
        notifications::{NotificationRow, Told, Withdrawn},
        push::{self as rows, Subscription},
    },
};
use sea_orm::ConnectionTrait;
use tokio::sync::Notify;
use url::Url;
use uuid::Uuid;

pub(crate) use deliver::{Message, Outcome, deliver};
pub use job::PushJob;
use jobs::Stored as _;

use crate::EventLogService;

/// Devices that one person may have.
const MAX_DEVICES: u32 = 10;
/// The longest address of a device.
const MAX_ENDPOINT: usize = 2_000;
/// How long it is waited for somebody to look by themselves.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// How long other instances are waited for. Only who is online and looks at something else waits as long as this.
const ANSWER: Duration = Duration::from_secs(1);

/// What is needed to push.
pub struct Push {
    vapid: vapid::Vapid,
    /// What is asked of all instances, until one says yes.
    asked: Mutex<HashMap<Uuid, Arc<Notify>>>,
}

impl Push {
    pub async fn load(db: &Database, config: &Config) -> anyhow::Result<Self> {
        Ok(Self { vapid: vapid::Vapid::load(db, config).await?, asked: Mutex::default() })
    }

    /// An instance has a connection that shows what was asked about.
    pub fn answered(&self, question: Uuid) {
        if let Some(asked) = self.asked().get(&question) {
            asked.notify_one();
        }
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Notify>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key by which browsers know this server.
#[must_use]
pub fn key(service: &EventLogService) -> &str {
    &service.push.vapid.public
}

/// Wakes this device of the caller's from now on.
pub async fn subscribe(
    service: &EventLogService,
    by: &Principal,
    endpoint: &str,
    p256dh: &str,
    auth: &str,
) -> Result<(), AppError> {
    let session = by.require_session()?;
    let url = address(endpoint)?;
    service
        .outgoing
        .check(&url)
        .map_err(|_| AppError::field("endpoint", "invalid", "This server may not reach this address."))?;
    let p256dh = decoded("keys.p256dh", p256dh)?;
    if !encryption::is_public_key(&p256dh) {
        return Err(AppError::field("keys.p256dh", "invalid", "This isn't a public key."));
    }
    let auth = decoded("keys.auth", auth)?;
    if auth.len() != encryption::AUTH {
        return Err(AppError::field("keys.auth", "invalid", "This isn't a secret of 16 bytes."));
    }
    let new = Subscription { id: Uuid::now_v7(), endpoint: url.to_string(), p256dh, auth };
    rows::subscribe(service.db.writer(), (by.user_id, session), &new, service.clock.now(), MAX_DEVICES).await
}

/// Lets a device of the caller's sleep. Again, it sleeps on.
pub async fn unsubscribe(service: &EventLogService, by: &Principal, endpoint: &str) -> Result<(), AppError> {
    rows::unsubscribe(service.db.writer(), by.user_id, address(endpoint)?.as_str()).await.map(drop)
}

/// Where a device's push service takes messages for it.
fn address(endpoint: &str) -> Result<Url, AppError> {
    let url = Url::parse(endpoint).ok().filter(|_| endpoint.len() <= MAX_ENDPOINT);
    url.ok_or_else(|| AppError::field("endpoint", "invalid", "This isn't the address of a push service."))
}

fn decoded(field: &'static str, text: &str) -> Result<Vec<u8>, AppError> {
    let text = text.trim_end_matches('=');
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| AppError::field(field, "invalid", "This isn't base64url."))
}

/// Asks for those to be woken whom these are for, in the transaction that stores them. Answers whether there is anybody.
pub(crate) async fn ask<C: ConnectionTrait>(db: &C, now: Timestamp, new: &[NotificationRow]) -> Result<bool, AppError> {
    let people: Vec<UserId> = new.iter().filter(|row| !row.silent).map(|row| row.user_id).collect();
    if people.is_empty() {
        return Ok(false);
    }
    let with_device = rows::who(db, &people).await?;
    let jobs = new.iter().filter(|row| !row.silent && with_device.contains(&row.user_id));
    let jobs = jobs.map(|row| {
        // Whoever wakes a thousand people keeps nobody else's waiting.
        let owner = row.actor_id.map_or(row.user_id, UserId);
        PushJob::wake(row.user_id, row.id, row.conversation_id).new_job_for(owner)
    });
    store(db, now, jobs.collect::<Result<_, AppError>>()?, PATIENCE).await
}

/// Takes from devices what was withdrawn.
pub(crate) async fn take_back_gone<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    withdrawn: &[Withdrawn],
) -> Result<(), AppError> {
    let shown = withdrawn.iter().filter(|one| one.pushed);
    let places: BTreeSet<_> = shown.map(|one| (one.user_id, one.conversation_id)).collect();
    let jobs = places.into_iter().map(|(user_id, place)| withdrawing(user_id, place));
    store(db, now, jobs.collect::<Result<_, _>>()?, Duration::ZERO).await.map(drop)
}

/// Takes from devices what is read.
pub(crate) async fn take_back<C: ConnectionTrait>(db: &C, now: Timestamp, told: &[Told]) -> Result<bool, AppError> {
    if told.is_empty() {
        return Ok(false);
    }
    let woken = rows::woken(db, told).await?;
    let jobs = woken.iter().map(|one| withdrawing(one.user_id, one.conversation_id));
    store(db, now, jobs.collect::<Result<_, _>>()?, Duration::ZERO).await
}

fn withdrawing(user: UserId, place: Option<ConversationId>) -> Result<NewJob, AppError> {
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

/// Whether a connection of somebody's shows the conversation, on whichever instance.
pub(crate) async fn is_shown(service: &EventLogService, user_id: UserId, conversation_id: ConversationId) -> bool {
    let (question, answered) = (Uuid::now_v7(), Arc::new(Notify::new()));
    service.push.asked().insert(question, Arc::clone(&answered));
    drop(service.bus.publish(vec![BusMessage::Signal(Signal::WhoShows { question, user_id, conversation_id })]));
    let is_shown = tokio::time::timeout(ANSWER, answered.notified()).await.is_ok();
    service.push.asked().remove(&question);
    is_shown
}
