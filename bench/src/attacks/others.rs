//! Other members: the latency of their ordinary calls before and during an attack.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::ensure;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::Value;
use support::{Caller, Member, new_id, wait_until};
use tokio::runtime::Runtime;

use super::calls::{self, data, has_items, has_previews, is_found, new_word, poll};
use crate::beside::percentile;

/// Number of members. With this many, none of them reaches the limit of 60 uploads a minute.
const MEMBERS: usize = 8;
/// Number of messages in the members' conversation before the attack. [`RARE`] of them contain the
/// searched word.
const MESSAGES: usize = 50;
/// Number of messages with the searched word. With so few matches, a search also looks for similar
/// words.
const RARE: usize = 5;
const SEARCHED: &str = "puffin";
const PAUSE: Duration = Duration::from_millis(50);
/// Time after which a file counts as not found, and a link as having no preview.
const GIVE_UP: Duration = Duration::from_secs(30);

/// Ordinary call of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Health,
    Read,
    Send,
    Search,
    /// An upload of ten bytes.
    Upload,
    /// Uploads a file and searches until it is found.
    FindFile,
    /// Sends a link and waits until its preview arrives.
    Preview,
}

impl Call {
    /// Calls measured during every attack.
    pub const ALWAYS: [Self; 3] = [Self::Health, Self::Read, Self::Send];

    const fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Read => "read messages",
            Self::Send => "send a message",
            Self::Search => "search",
            Self::Upload => "upload 10 bytes",
            Self::FindFile => "find a new file",
            Self::Preview => "preview a link",
        }
    }
}

/// Measured durations of one kind of call.
pub struct Series {
    call: Call,
    took: Vec<Duration>,
    failed: usize,
}

/// Members who have no relation to the attacker.
pub struct Others {
    runtime: Runtime,
    anonymous: Caller,
    members: Vec<Member>,
    conversation: String,
    site: SocketAddr,
}

impl Others {
    /// Signs the members up and creates a conversation with messages. One of them has the first
    /// account of the server, which is its administrator.
    pub fn sign_up(server: SocketAddr, site: SocketAddr) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let base = format!("http://{server}");
        let (members, conversation) = runtime.block_on(async {
            let mut members = Vec::with_capacity(MEMBERS);
            for _ in 0..MEMBERS {
                members.push(Member::sign_up(&base, "Member").await);
            }
            let first = &members[0];
            let conversation = first.open_group("Ordinary", &members.iter().skip(1).collect::<Vec<_>>()).await;
            for number in 0..MESSAGES {
                let word = if number < RARE { SEARCHED } else { "gull" };
                first.send_message(&conversation, &format!("a {word} on rock number {number}")).await;
            }
            wait_until("the messages are found", || is_found(first, SEARCHED)).await;
            (members, conversation)
        });
        Ok(Self { runtime, anonymous: Caller::anonymous(&base), members, conversation, site })
    }

    /// Makes these calls concurrently until `is_over` is true. Each call is repeated, by one member
    /// after the other.
    pub fn measure(&self, calls: &[Call], is_over: impl Fn() -> bool) -> Vec<Series> {
        self.runtime.block_on(join_all(calls.iter().map(|call| self.repeat(*call, &is_over))))
    }

    async fn repeat(&self, call: Call, is_over: impl Fn() -> bool) -> Series {
        let mut series = Series { call, took: Vec::new(), failed: 0 };
        for by in self.members.iter().cycle() {
            let start = Instant::now();
            series.failed += usize::from(!self.is_successful(call, by).await);
            series.took.push(start.elapsed());
            if is_over() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        series
    }

    async fn is_successful(&self, call: Call, by: &Member) -> bool {
        match call {
            Call::Health => {
                data(&self.anonymous, self.anonymous.request(Method::GET, "/health/simple")).await.is_some()
            }
            Call::Read => {
                let path = format!("/r1/conversations/{}/messages?limit=50", self.conversation);
                data(by, by.request(Method::GET, &path)).await.is_some()
            }
            Call::Send => {
                self.send(by, "a message of ordinary length, with nothing special in it", &[]).await.is_some()
            }
            Call::Search => {
                let found = data(by, calls::search(by, SEARCHED, false)).await;
                found.is_some_and(|found| has_items(&found["items"]))
            }
            Call::Upload => data(by, by.uploading("ten.txt", "text/plain", "ten bytes.")).await.is_some(),
            Call::FindFile => {
                let word = new_word();
                let upload = data(by, by.uploading("word.txt", "text/plain", word.clone())).await;
                let Some(upload) = upload else { return false };
                self.send(by, "a file", &[&upload]).await.is_some() && poll(GIVE_UP, || is_found(by, &word)).await
            }
            Call::Preview => {
                let link = format!("http://{}/{}", self.site, new_id());
                let Some(message) = self.send(by, &link, &[]).await else { return false };
                poll(GIVE_UP, || has_previews(by, &message)).await
            }
        }
    }

    async fn send(&self, by: &Member, content: &str, uploads: &[&Value]) -> Option<Value> {
        data(by, calls::message(by, &self.conversation, content, uploads)).await
    }
}

/// Fails if any call of the other members failed.
pub fn ensure_success(series: &[Series]) -> anyhow::Result<()> {
    for Series { call, took, failed } in series {
        ensure!(*failed == 0, "{failed} of {} calls failed without an attack: {}", took.len(), call.name());
    }
    Ok(())
}

/// Describes the 95th percentiles before and during an attack. Also returns the largest ratio
/// between the two.
pub fn compare(before: &[Series], during: &[Series]) -> (String, f64) {
    let mut worst = 0.0_f64;
    let calls = before.iter().zip(during).map(|(before, during)| {
        let [earlier, later] = [before, during].map(|series| percentile(&series.took, 95));
        let ratio = later / earlier;
        worst = worst.max(ratio);
        let failed = match during.failed {
            0 => String::new(),
            failed => format!(", {failed} of {} failed", during.took.len()),
        };
        format!("{} {earlier:.1} → {later:.1} ms ({ratio:.1}×{failed})", before.call.name())
    });
    let calls = calls.collect::<Vec<_>>().join("; ");
    (calls, worst)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(call: Call, milliseconds: &[u64], failed: usize) -> Series {
        Series { call, took: milliseconds.iter().copied().map(Duration::from_millis).collect(), failed }
    }

    #[test]
    fn compares_calls_by_95th_percentile() {
        let before = [series(Call::Read, &[2; 100], 0), series(Call::Search, &[4, 8], 0)];
        let during = [series(Call::Read, &[3, 2, 1], 0), series(Call::Search, &[8, 40], 1)];
        let (calls, worst) = compare(&before, &during);
        assert_eq!(calls, "read messages 2.0 → 3.0 ms (1.5×); search 8.0 → 40.0 ms (5.0×, 1 of 2 failed)");
        assert!((worst - 5.0).abs() < 1e-9);
    }

    #[test]
    fn reports_a_call_that_fails_without_an_attack_as_an_error() {
        assert!(ensure_success(&[series(Call::Read, &[2], 0)]).is_ok());
        assert!(ensure_success(&[series(Call::Read, &[2], 1)]).is_err());
    }
}
