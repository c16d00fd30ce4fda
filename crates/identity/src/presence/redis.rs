//! Presence store in Redis, shared by all instances. It consists of a sorted set of the online
//! users and a small hash per user. Scripts change them, so that each transition is reported to
//! exactly one instance. While Redis is unavailable, every instance answers for its own users.

use std::time::Duration;

use appcore::{
    InstanceId, Timestamp, UserId,
    view::{Presence, PresenceStatus},
};
use deadpool_redis::redis::{self, Script};
use futures_util::{FutureExt, future::BoxFuture};
use platform::redis::Redis;

use super::{MemoryPresence, PresenceStore, RETENTION};

/// Prefix of all keys.
const PREFIX: &str = "natter:presence";
/// Number of users per script call or query.
const BATCH: usize = 100;
/// Timeout of Redis requests. It is short, because presence must not delay anything else.
const REDIS_TIMEOUT: Duration = Duration::from_secs(2);

pub struct RedisPresence {
    redis: Redis,
    prefix: String,
    /// Key of the set of online users. The score is the time at which the user's leases are to be
    /// checked next.
    online_key: String,
    lease_script: Script,
    report_script: Script,
    offline_script: Script,
    /// State of this instance alone, for times when Redis is unavailable.
    local: MemoryPresence,
}

impl RedisPresence {
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self::with_prefix(PREFIX, redis)
    }

    pub(super) fn with_prefix(prefix: &str, redis: Redis) -> Self {
        Self {
            redis,
            prefix: prefix.to_owned(),
            online_key: format!("{prefix}:here"),
            lease_script: Script::new(include_str!("hold.lua")),
            report_script: Script::new(include_str!("choose.lua")),
            offline_script: Script::new(include_str!("settle.lua")),
            local: MemoryPresence::new(),
        }
    }

    /// Runs a Redis request; `None` if Redis is unavailable.
    async fn try_redis<T>(&self, question: impl Future<Output = anyhow::Result<T>>) -> Option<T> {
        match self.redis.execute(REDIS_TIMEOUT, question).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                tracing::debug!(error = %format!("{error:#}"), "Redis unavailable, using local presence");
                None
            }
        }
    }

    fn hash_of(&self, person: UserId) -> String {
        format!("{}:{person}", self.prefix)
    }

    async fn renew_leases_shared(
        &self,
        people: &[UserId],
        instance: InstanceId,
        until: Timestamp,
    ) -> anyhow::Result<Vec<Presence>> {
        let mut connection = self.redis.connection().await?;
        let mut came = Vec::new();
        for people in people.chunks(BATCH) {
            let mut call = self.lease_script.key(&self.online_key);
            for person in people {
                call.key(self.hash_of(*person));
            }
            call.arg(instance.to_string()).arg(until.millis());
            for person in people {
                call.arg(person.to_string());
            }
            let envelope: Vec<(usize, String, String)> = call.invoke_async(&mut connection).await?;
            came.extend(envelope.into_iter().filter_map(|(place, chosen, seen)| {
                let user_id = *people.get(place)?;
                Some(Presence {
                    user_id,
                    status: chosen.parse().unwrap_or(PresenceStatus::Online),
                    last_seen: seen.parse().ok().map(Timestamp),
                    custom_status: None,
                })
            }));
        }
        Ok(came)
    }

    async fn report_shared(
        &self,
        person: UserId,
        instance: InstanceId,
        status: Option<PresenceStatus>,
        now: Timestamp,
    ) -> anyhow::Result<Option<Presence>> {
        let mut connection = self.redis.connection().await?;
        let mut call = self.report_script.key(&self.online_key);
        call.key(self.hash_of(person)).arg(person.to_string()).arg(instance.to_string());
        call.arg(status.map_or("", |status| status.as_str())).arg(now.millis()).arg(milliseconds(RETENTION));
        let told: String = call.invoke_async(&mut connection).await?;
        let status = told.parse::<PresenceStatus>().ok();
        Ok(status.map(|status| Presence { user_id: person, status, last_seen: None, custom_status: None }))
    }

    async fn collect_offline_shared(&self, now: Timestamp) -> anyhow::Result<Vec<Presence>> {
        let mut connection = self.redis.connection().await?;
        let mut gone = Vec::new();
        loop {
            let due = self.due_users(now, &mut connection).await?;
            for id in &due {
                let Ok(user_id) = id.parse::<UserId>() else {
                    let _: () = redis::cmd("ZREM").arg(&self.online_key).arg(id).query_async(&mut connection).await?;
                    continue;
                };
                let mut call = self.offline_script.key(&self.online_key);
                call.key(self.hash_of(user_id)).arg(id).arg(now.millis()).arg(milliseconds(RETENTION));
                let is_gone: bool = call.invoke_async(&mut connection).await?;
                if is_gone {
                    gone.push(Presence {
                        user_id,
                        status: PresenceStatus::Offline,
                        last_seen: Some(now),
                        custom_status: None,
                    });
                }
            }
            if due.len() < BATCH {
                return Ok(gone);
            }
        }
    }

    /// Users whose leases have to be checked now; some may have been renewed.
    async fn due_users(
        &self,
        now: Timestamp,
        connection: &mut platform::redis::Connection,
    ) -> anyhow::Result<Vec<String>> {
        let mut look = redis::cmd("ZRANGEBYSCORE");
        look.arg(&self.online_key).arg("-inf").arg(now.millis()).arg("LIMIT").arg(0).arg(BATCH);
        Ok(look.query_async(connection).await?)
    }

    async fn remove_shared(&self, person: UserId) -> anyhow::Result<()> {
        let mut connection = self.redis.connection().await?;
        let mut pipe = redis::pipe();
        pipe.cmd("ZREM").arg(&self.online_key).arg(person.to_string());
        pipe.cmd("DEL").arg(self.hash_of(person));
        let _: () = pipe.query_async(&mut connection).await?;
        Ok(())
    }

    async fn online_shared(&self, skip: usize, most: usize) -> anyhow::Result<Vec<UserId>> {
        let mut connection = self.redis.connection().await?;
        let mut look = redis::cmd("ZRANGE");
        look.arg(&self.online_key).arg(skip).arg(skip.saturating_add(most).saturating_sub(1));
        let found: Vec<String> = look.query_async(&mut connection).await?;
        Ok(found.iter().filter_map(|id| id.parse().ok()).collect())
    }

    async fn of_shared(&self, people: &[UserId]) -> anyhow::Result<Vec<Presence>> {
        let mut connection = self.redis.connection().await?;
        let mut answers = Vec::with_capacity(people.len());
        for people in people.chunks(BATCH) {
            let mut pipe = redis::pipe();
            for person in people {
                pipe.cmd("ZSCORE").arg(&self.online_key).arg(person.to_string());
                pipe.cmd("HMGET").arg(self.hash_of(*person)).arg("chosen").arg("seen");
            }
            let found: Vec<redis::Value> = pipe.query_async(&mut connection).await?;
            for (user_id, pair) in people.iter().zip(found.chunks(2)) {
                let [score, hash] = pair else { continue };
                let is_here: Option<f64> = redis::from_redis_value(score.clone())?;
                let (chosen, seen): (Option<String>, Option<i64>) = redis::from_redis_value(hash.clone())?;
                let chosen = chosen.and_then(|name| name.parse().ok()).unwrap_or(PresenceStatus::Online);
                let status = if is_here.is_some() { chosen } else { PresenceStatus::Offline };
                answers.push(Presence {
                    user_id: *user_id,
                    status,
                    last_seen: seen.map(Timestamp),
                    custom_status: None,
                });
            }
        }
        Ok(answers)
    }
}

impl PresenceStore for RedisPresence {
    fn renew_leases<'a>(
        &'a self,
        people: &'a [UserId],
        instance: InstanceId,
        until: Timestamp,
    ) -> BoxFuture<'a, Vec<Presence>> {
        async move {
            let own = self.local.renew_leases_now(people, instance, until);
            self.try_redis(self.renew_leases_shared(people, instance, until)).await.unwrap_or(own)
        }
        .boxed()
    }

    fn report(
        &self,
        person: UserId,
        instance: InstanceId,
        status: Option<PresenceStatus>,
        now: Timestamp,
    ) -> BoxFuture<'_, Option<Presence>> {
        async move {
            let own = self.local.report_now(person, instance, status, now);
            self.try_redis(self.report_shared(person, instance, status, now)).await.unwrap_or(own)
        }
        .boxed()
    }

    fn collect_offline(&self, now: Timestamp) -> BoxFuture<'_, Vec<Presence>> {
        async move {
            let own = self.local.collect_offline_now(now);
            self.try_redis(self.collect_offline_shared(now)).await.unwrap_or(own)
        }
        .boxed()
    }

    fn remove(&self, person: UserId) -> BoxFuture<'_, ()> {
        async move {
            self.local.remove_now(person);
            self.try_redis(self.remove_shared(person)).await.unwrap_or_default();
        }
        .boxed()
    }

    fn online(&self, skip: usize, most: usize) -> BoxFuture<'_, Vec<UserId>> {
        async move {
            match self.try_redis(self.online_shared(skip, most)).await {
                Some(here) => here,
                None => self.local.online_now(skip, most),
            }
        }
        .boxed()
    }

    fn presences<'a>(&'a self, people: &'a [UserId]) -> BoxFuture<'a, Vec<Presence>> {
        async move {
            match self.try_redis(self.of_shared(people)).await {
                Some(answers) => answers,
                None => self.local.of_now(people),
            }
        }
        .boxed()
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
