//! Accounts: sign-up, sign-in, sign-out, tokens, cookies and devices, and attacks on them.

mod browser;
mod cluster;
mod confirm;
mod devices;
mod email_change;
mod guesses;
mod local_time;
mod mail;
mod names;
mod oauth;
mod picture;
mod places;
mod profile;
mod removal;
mod samples;
mod second_factor;
mod sign_in;
mod sign_up;
mod tokens;

use std::time::{Duration, Instant};

use reqwest::Method;
use support::{Answer, Caller, Member, Value, json, wait_until_equal};

pub(crate) use samples::sample_calls;

const NEW_PASSWORD: &str = "An0ther-Horse-10";

/// Refreshes the tokens with an `Idempotency-Key`.
async fn refresh_with_key(caller: &Caller, token: &str, key: &str) -> Answer {
    let request = caller.request(Method::POST, "/r1/auth/refresh").header("idempotency-key", key);
    caller.send(request.json(&json!({ "refresh_token": token }))).await
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is missing in {value}"))
}

/// Returns the time after which an ended session is refused.
async fn refused_after(member: &Member) -> Duration {
    let start = Instant::now();
    let status = || async { member.get("/r1/users/me").await.status };
    wait_until_equal("status of an ended session", &401, status).await;
    start.elapsed()
}
