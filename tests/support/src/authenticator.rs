//! Authenticator app (TOTP).

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use totp_rs::{Builder, Secret, Totp};

use crate::application::PASSWORD;
use crate::member::Member;

const STEP: u64 = 30;

/// Authenticator that generates each code only once. It starts with the previous time step, then
/// uses the current and the next one, because a server accepts all three without a wait.
pub struct Authenticator {
    totp: Totp,
    shown: Cell<u64>,
    pub recovery_codes: Vec<String>,
}

impl Authenticator {
    /// Creates the authenticator from the enrolment that the server has returned.
    #[must_use]
    pub fn new(enrolment: &Value) -> Self {
        let secret = Secret::try_from_base32(enrolment["secret"].as_str().expect("a secret")).expect("base32");
        let totp = Builder::new().with_secret(secret).build().expect("secret of 160 bits");
        Self { totp, shown: Cell::new(0), recovery_codes: Vec::new() }
    }

    /// Enrols a member, who confirms by password.
    pub async fn set_up(member: &Member) -> Self {
        let enrolment = member.post("/r1/auth/totp", json!({ "password": PASSWORD })).await.data_with(201);
        let mut authenticator = Self::new(&enrolment);
        let body = json!({ "code": authenticator.next_code() });
        let confirmed = member.post("/r1/auth/totp/confirm", body).await.data_with(200);
        let codes = confirmed["recovery_codes"].as_array().expect("recovery codes");
        authenticator.recovery_codes = codes.iter().filter_map(|code| Some(code.as_str()?.to_owned())).collect();
        authenticator
    }

    /// Signs up and enrols a new member.
    pub async fn set_up_for_somebody(base: &str) -> (Member, Self) {
        let member = Member::sign_up(base, "Guarded").await;
        let authenticator = Self::set_up(&member).await;
        (member, authenticator)
    }

    /// Returns the next code that was not used yet.
    #[must_use]
    pub fn next_code(&self) -> String {
        let step = (self.shown.get() + 1).max(now() / STEP - 1);
        self.shown.set(step);
        self.totp.generate(step * STEP).to_string()
    }

    /// Returns the code at this offset from the current time step.
    #[must_use]
    pub fn code_in(&self, steps: i64) -> String {
        self.totp.generate((now() / STEP).saturating_add_signed(steps) * STEP).to_string()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("clock after 1970").as_secs()
}
