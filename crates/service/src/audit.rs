//! The audit log: who did what to accounts, workspaces and the installation, for its administrators.
//!
//! What belongs to a change is written in the change's own transaction, so that neither is there without the other. What is no change, such as
//! a failed sign-in, is [noted](note) by itself, and nobody is refused anything because that could not be.

use std::{net::IpAddr, sync::Arc, time::Duration};

use appcore::{
    AppError, Clock, UserId,
    page::{Page, PageRequest},
    view::AuditEntry,
};
use dbcontext::query::audit as rows;
use sea_orm::ConnectionTrait;

use crate::App;

/// How often old lines are forgotten.
const SWEEP: Duration = Duration::from_secs(3_600);
/// Lines that one statement forgets.
const SWEEP_ROWS: u64 = 1_000;
const DAY: Duration = Duration::from_secs(86_400);
/// The longest target that is kept.
const MAX_TARGET_CHARS: usize = 200;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What is written down. One row each: name, and name on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action { $($(#[$doc])* $name),* }

        impl Action {
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// As it stands in the log.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

actions! {
    SignUp = "auth.signup";
    SignIn = "auth.signin";
    SignInFailed = "auth.signin_failed";
    SignOut = "auth.signout";
    /// A token was used twice, and its session ended.
    RefreshReused = "auth.refresh_reused";
    PasswordChanged = "auth.password_changed";
    SecondFactorAdded = "auth.second_factor_added";
    SecondFactorRemoved = "auth.second_factor_removed";
    PasskeyAdded = "auth.passkey_added";
    PasskeyRemoved = "auth.passkey_removed";
    IdentityLinked = "auth.identity_linked";
    IdentityUnlinked = "auth.identity_unlinked";
    PasswordReset = "auth.password_reset";
    EmailVerified = "auth.email_verified";
    Exported = "user.exported";
    Deleted = "user.deleted";
    SessionEnded = "auth.session_ended";
    WorkspaceCreated = "workspace.created";
    WorkspaceChanged = "workspace.changed";
    WorkspaceDeleted = "workspace.deleted";
    WorkspaceJoined = "workspace.joined";
    WorkspaceLeft = "workspace.left";
    WorkspaceMemberAdded = "workspace.member_added";
    WorkspaceMemberRemoved = "workspace.member_removed";
    WorkspaceRoleChanged = "workspace.role_changed";
    InvitationCreated = "workspace.invitation_created";
    InvitationRevoked = "workspace.invitation_revoked";
    InvitationAccepted = "workspace.invitation_accepted";
    ApiKeyCreated = "auth.api_key_created";
    ApiKeyRevoked = "auth.api_key_revoked";
    /// By an administrator.
    BanAdded = "admin.ban_added";
    BanLifted = "admin.ban_lifted";
    /// By the firewall.
    AddressBanned = "firewall.address_banned";
}

/// One line.
#[derive(Clone, Debug)]
pub struct Entry {
    pub action: Action,
    /// None: somebody who is not signed in, or the program itself.
    pub actor: Option<UserId>,
    /// What it was done to: an id or a network, no personal data.
    pub target: Option<String>,
    pub address: Option<IpAddr>,
}

/// Writes a line, in the caller's transaction where `db` is one.
pub async fn record<C: ConnectionTrait>(db: &C, entry: Entry) -> Result<(), AppError> {
    let Entry { action, actor, target, address } = entry;
    let new = rows::NewEntry {
        action: action.as_str(),
        actor,
        target: target.map(|target| target.chars().take(MAX_TARGET_CHARS).collect()),
        address: address.map(|address| address.to_canonical().to_string()),
        // When it really was, whatever clock a test has stopped.
        at: Clock::system().now(),
    };
    rows::insert(db, new).await
}

/// Writes a line by itself. That it could not be written is only logged.
pub async fn note(app: &App, entry: Entry) {
    let action = entry.action.as_str();
    if let Err(error) = record(app.db.writer(), entry).await {
        tracing::warn!(%error, action, "a line of the audit log is missing");
    }
}

/// The log, of one action where it is named, the newest first.
pub async fn list(app: &App, action: Option<&str>, page: PageRequest) -> Result<Page<AuditEntry>, AppError> {
    let (items, total) = rows::list(app.db.reader(), action, page).await?;
    Ok(Page::new(items, page, total))
}

/// Forgets what is older than so many days, as long as the program runs.
pub(crate) async fn forget_old(app: Arc<App>, days: u32) {
    let mut tick = tokio::time::interval(SWEEP);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let before = Clock::system().now().minus(DAY * days);
        loop {
            match rows::forget(app.db.writer(), before, SWEEP_ROWS).await {
                Ok(SWEEP_ROWS) => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "old lines of the audit log were not removed");
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_has_a_name_of_its_own() {
        let names: std::collections::HashSet<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        let is_fit = |name: &str| {
            name.split_once('.').is_some_and(|(subject, verb)| !subject.is_empty() && !verb.is_empty())
                && name.chars().all(|letter| letter.is_ascii_lowercase() || "._".contains(letter))
        };
        assert!(names.iter().all(|name| is_fit(name)), "{names:?}");
    }
}
