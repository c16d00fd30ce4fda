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
    /// false turns off every limiter and the firewall, for load tests.
    #[setting(Switch, default = true)]
    pub enabled: bool,
    /// Requests and handshakes a second that one address (of IPv6 its /64) may send, API calls with valid credentials apart; 0: no such limit.
    #[setting(Number(0, 1_000_000), default = 200)]
    pub flood_per_second: u32,
    /// How many of these may come at once.
    #[setting(Number(1, 10_000_000), default = 10_000)]
    pub flood_burst: u32,
    /// How sign-ups, sign-ins and the calls for their emails are counted; by address, which many people may share.
    #[limit("token_bucket", 1_500, 900)]
    auth: Limit,
    /// How renewals of sessions are counted; by sign-in.
    #[limit("token_bucket", 60, 60)]
    refresh: Limit,
    /// How messages are counted, sent by request or by frame; by user.
    #[limit("token_bucket", 600, 60)]
    message_send: Limit,
    /// How files that come in are counted; by user.
    #[limit("token_bucket", 60, 60)]
    upload: Limit,
    /// How requests under /v1 are counted; by the user whose key it is.
    #[limit("token_bucket", 600, 60)]
    gateway: Limit,
    /// How frames are counted that nothing keeps (typing, presence, view, presence.watch); by user, by each instance for itself.
    #[limit("token_bucket", 120, 60)]
    ephemeral: Limit,
    /// How new Socket.IO sessions are counted; by address.
    #[limit("token_bucket", 3_000, 60)]
    handshake: Limit,
    /// How requests that read are counted; by user where that is known, else by address.
    #[limit("token_bucket", 3_000, 60)]
    read: Limit,
    /// How it is counted whom somebody brings together: conversations begun, people added to one or to a workspace; by user.
    #[limit("sliding_window", 200, 3_600)]
    conversation: Limit,
    /// How all other requests are counted.
    #[limit("token_bucket", 600, 60)]
    write: Limit,
}

impl RateLimit {
    pub const fn of(&self, group: RateGroup) -> Limit {
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

/// When an address is kept out. Nothing of it holds where `rate_limit.enabled` is off.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("firewall")]
#[serde(deny_unknown_fields)]
pub struct Firewall {
    /// Violations within the window after which an address (of IPv6 its /64) is banned; 0: never. Requests with valid credentials are no violations and are served during such a ban.
    #[setting(Number(0, 10_000), default = 20)]
    pub violations_to_ban: usize,
    /// Seconds in which violations are counted together.
    #[setting(WINDOW, default = 60)]
    #[serde(deserialize_with = "seconds")]
    pub window: Duration,
    /// Seconds of an address's first ban, its second and so on; the last one stays. A week without a ban begins at the first again.
    #[setting(Numbers(1, 31_536_000), default = "300,1800,7200,86400")]
    #[serde(deserialize_with = "list_of_seconds")]
    pub durations: Vec<Duration>,
    /// What counts as a violation. probe: a request for /.env, /.git/*, /wp-* or *.php; rate_limited: a call without credentials beyond a limit by address; failed_signin: a sign-in to an account that doesn't exist; forged_token: credentials that this server has not issued.
    #[setting(Choices(&["probe", "rate_limited", "failed_signin", "forged_token"]), default = "probe,rate_limited,failed_signin,forged_token")]
    pub violations: Vec<Violation>,
}
