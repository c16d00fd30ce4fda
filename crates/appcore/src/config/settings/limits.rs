//! Settings of the rate limits and the firewall.

use std::time::Duration;

use natter_macro::Settings;
use serde::Deserialize;

use super::{list_of_seconds, seconds};
use crate::config::setting::{COUNT, LIMIT_ABOUT, STRATEGIES, WINDOW, WINDOW_ABOUT};
use crate::limit::{Limit, RateGroup, Violation};

#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("rate_limit")]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Enable the rate limits and the firewall. Set it to false for load tests.
    #[setting(Switch, default = true)]
    pub enabled: bool,
    /// Number of requests and handshakes per second that one address (for IPv6 its /64) may send,
    /// not counting API calls with valid credentials; 0: unlimited.
    #[setting(Number(0, 1_000_000), default = 200)]
    pub flood_per_second: u32,
    /// Number of requests and handshakes that one address may send in a burst.
    #[setting(Number(1, 10_000_000), default = 10_000)]
    pub flood_burst: u32,
    /// Limit of sign-ups, sign-ins and requests for their e-mails, by address. Many people may
    /// share an address.
    #[limit("token_bucket", 1_500, 900)]
    auth: Limit,
    /// Limit of session refreshes, by session.
    #[limit("token_bucket", 60, 60)]
    refresh: Limit,
    /// Limit of sent messages, by user, whether sent by request or by frame.
    #[limit("token_bucket", 600, 60)]
    message_send: Limit,
    /// Limit of uploaded files, by user.
    #[limit("token_bucket", 60, 60)]
    upload: Limit,
    /// Limit of requests under /v1, by the user who owns the key.
    #[limit("token_bucket", 600, 60)]
    gateway: Limit,
    /// Limit of ephemeral frames (typing, presence, view, presence.watch), by user on each
    /// instance.
    #[limit("token_bucket", 120, 60)]
    ephemeral: Limit,
    /// Limit of new Socket.IO sessions, by address.
    #[limit("token_bucket", 3_000, 60)]
    handshake: Limit,
    /// Limit of read requests, by user if signed in, otherwise by address.
    #[limit("token_bucket", 3_000, 60)]
    read: Limit,
    /// Limit of conversations started and of people added to a conversation or a workspace, by user.
    #[limit("sliding_window", 200, 3_600)]
    conversation: Limit,
    /// Limit of all other requests.
    #[limit("token_bucket", 600, 60)]
    write: Limit,
}

impl RateLimit {
    pub const fn limit_for(&self, group: RateGroup) -> Limit {
        match group {
            RateGroup::Auth => self.auth,
            RateGroup::Refresh => self.refresh,
            RateGroup::MessageSend => self.message_send,
            RateGroup::Upload => self.upload,
            RateGroup::Gateway => self.gateway,
            RateGroup::Ephemeral => self.ephemeral,
            RateGroup::Handshake => self.handshake,
            RateGroup::Read => self.read,
            RateGroup::Conversation => self.conversation,
            RateGroup::Write => self.write,
        }
    }
}

/// Automatic bans of addresses. Inactive if `rate_limit.enabled` is false.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("firewall")]
#[serde(deny_unknown_fields)]
pub struct Firewall {
    /// Number of violations within the window after which an address (for IPv6 its /64) is banned;
    /// 0: never. Requests with valid credentials are not violations, and are served even during
    /// such a ban.
    #[setting(Number(0, 10_000), default = 20)]
    pub violations_to_ban: usize,
    /// Window in which violations are counted, in seconds.
    #[setting(WINDOW, default = 60)]
    #[serde(deserialize_with = "seconds")]
    pub window: Duration,
    /// Duration of an address's first ban, its second and so on, in seconds. The last one applies
    /// to all later bans. After a week without a ban, the first duration applies again.
    #[setting(Numbers(1, 31_536_000), default = "300,1800,7200,86400")]
    #[serde(deserialize_with = "list_of_seconds")]
    pub durations: Vec<Duration>,
    /// Requests that count as violations. probe: a request for /.env, /.git/*, /wp-* or *.php;
    /// rate_limited: a call without credentials that exceeds the limit of its address;
    /// failed_signin: a sign-in to an account that doesn't exist; forged_token: credentials that
    /// this server has not issued.
    #[setting(Choices(&["probe", "rate_limited", "failed_signin", "forged_token"]), default = "probe,rate_limited,failed_signin,forged_token")]
    pub violations: Vec<Violation>,
}
