//! Account deletion.
//!
//! One transaction removes all personal data and ends all sessions. Content shared with others
//! stays usable: messages are attributed to a "Deleted user", and ownership passes to another
//! member. Passing on the ownership touches every conversation of the user, so it runs after the
//! commit. The request tries to do it at once, and a [job](AccountCleanupJob) completes it in any
//! case. The job also rewrites the event log.

use std::time::Duration;

use appcore::{
    ApiKeyId, AppError, Code, ConversationId, SessionId, UserId, WorkspaceId,
    auth::Principal,
    event::{BusMessage, Signal},
};
use dbcontext::{
    Transaction,
    constraint::app_error,
    entity::user,
    query::{self, account_erasure, api_keys, mail_tokens, sessions, users},
};
use event_log::events::ServerAction;
use identity::{
    accounts::{
        Device, announce_user_change, api_keys::announce_revoked, login_throttle, reauthenticate,
        sessions::announce_ended, user_admin,
    },
    mail::MailJob,
    membership::WorkspaceChangeEvent,
    presence,
};
use jobs::{self, Job, JobContext, JobOutcome, JobPayload};
use platform::{
    audit::{self, Action, NewAuditEntry},
    cleanup,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    ConversationsService,
    workspaces::{emoji, invitations, submit_all},
};

/// Name shown as the author of the messages that remain.
pub(crate) const DELETED_USER_NAME: &str = "Deleted user";
/// Delay of the cleanup job. In this time the request tries to do the work itself.
const JOB_DELAY: Duration = Duration::from_secs(60);
/// Number of events scanned by one statement.
const EVENTS_PER_STATEMENT: i64 = 1_000;

/// Deletes the caller's account.
pub async fn delete_me(
    service: &ConversationsService,
    by: &Principal,
    password: Option<String>,
    device: &Device,
) -> Result<(), AppError> {
    by.require_session()?;
    let account = reauthenticated_account(service, by, password, device).await?;
    let tx = service.db.begin().await.map_err(app_error)?;
    user_admin::require_remaining_admin(&tx, by.user_id).await?;
    let current = users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    // The password was changed by another request since it was verified.
    if current.password_hash != account.password_hash {
        return Err(Code::PasswordWrong.into());
    }
    let left = erase(&tx, service, by.user_id).await?;
    let target = Some(by.user_id.to_string());
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::Deleted, target)).await?;
    tx.commit().await.map_err(app_error)?;
    left.follow_up(service).await
}

/// Deleted account and the work that remains after the commit.
pub(super) struct DeletedAccount {
    job: AccountCleanupJob,
    ended_sessions: Vec<SessionId>,
    revoked_keys: Vec<ApiKeyId>,
}

/// Removes the personal data of an account, and ends its sessions and API keys. The caller has
/// locked the account.
pub(super) async fn erase(
    tx: &Transaction,
    service: &ConversationsService,
    user_id: UserId,
) -> Result<DeletedAccount, AppError> {
    let now = service.clock.now();
    let ended = sessions::end_all(tx, user_id, None, now).await?;
    let revoked = api_keys::revoke_all(tx, user_id, now).await?;
    mail_tokens::remove(tx, user_id.0).await?;
    query::jobs::remove_all(tx, MailJob::KIND, user_id.0).await?;
    account_erasure::erase(tx, user_id, DELETED_USER_NAME, now).await?;
    query::prompts::remove_author(tx, user_id).await?;
    query::emoji::clear_creator(tx, user_id).await?;
    if let Some(picture) = query::pictures::remove(tx, user_id).await? {
        jobs::enqueue(tx, now, &cleanup::SweepJob::Upload(picture)).await?;
    }
    query::tool_permissions::remove_of_user(tx, user_id).await?;
    query::mcp_connections::remove_of_user(tx, user_id).await?;
    query::assistants::remove_creator(tx, user_id, now).await?;
    cleanup::enqueue_knowledge_sweep(tx, now).await?;
    jobs::enqueue(tx, now, &cleanup::GatewaySweepJob::User(user_id)).await?;
    let job = AccountCleanupJob { user_id };
    jobs::enqueue_after(tx, now, &job, JOB_DELAY).await?;
    Ok(DeletedAccount { job, ended_sessions: ended, revoked_keys: revoked })
}

impl DeletedAccount {
    /// Notifies the other instances and passes on the ownership of shared content.
    pub(super) async fn follow_up(self, service: &ConversationsService) -> Result<(), AppError> {
        let Self { job, ended_sessions: ended, revoked_keys: revoked } = self;
        let user_id = job.user_id;
        drop(service.bus.publish(vec![BusMessage::Signal(Signal::UserChanged(user_id))]));
        announce_ended(&service.identity, ended).await;
        announce_revoked(&service.identity, revoked).await;
        // Runs before the memberships are passed on, because the recipients are those who share a
        // conversation with the user.
        announce_user_change(&service.identity, user_id).await;
        match hand_over_memberships(service, user_id).await {
            // The job rewrites the log in the background.
            Ok(()) => {
                query::jobs::make_due(service.db.writer(), AccountCleanupJob::KIND, job.subject()).await?;
                service.wake_workers();
            }
            Err(error) => tracing::warn!(%error, %user_id, "failed to hand over memberships, leaving it to the job"),
        }
        Ok(())
    }
}

/// Account of the caller, whose identity is confirmed. A wrong password counts as a failed sign-in.
async fn reauthenticated_account(
    service: &ConversationsService,
    by: &Principal,
    password: Option<String>,
    device: &Device,
) -> Result<user::Model, AppError> {
    let account = users::by_id(service.db.reader(), by.user_id).await?.ok_or(Code::Unauthenticated)?;
    let guess = login_throttle::begin(&service.identity, &account.email, Some(account.id), device).await?;
    let checked = reauthenticate::require_password(&service.identity, by, password).await;
    if checked.as_ref().is_err_and(|error| error.code() == Code::PasswordWrong) {
        guess.record_failure().await;
    } else {
        guess.record_success().await;
    }
    checked
}

/// Passes on the memberships of a deleted account and removes the user's name from the event log.
/// Idempotent.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct AccountCleanupJob {
    user_id: UserId,
}

impl JobPayload for AccountCleanupJob {
    const KIND: &'static str = "forget";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.user_id)
    }

    fn subject(&self) -> Uuid {
        self.user_id.0
    }
}

impl Job<ConversationsService> for AccountCleanupJob {
    async fn run(self, work: JobContext<'_, ConversationsService>) -> Result<JobOutcome, AppError> {
        let forgetting = async {
            // A failure in one step doesn't stop the others; the job is retried.
            let passed_on = hand_over_memberships(work.state, self.user_id).await;
            let purged = account_erasure::purge_chats(work.state.db.writer(), self.user_id).await;
            let rewritten = rewrite_log(work.state, self.user_id).await;
            work.state.db.purge_removed();
            passed_on.and(purged).and(rewritten)?;
            // Waits until the user's last connections have closed. Otherwise they would write the
            // last-seen time again.
            tokio::time::sleep(presence::OFFLINE_GRACE * 2).await;
            work.state.identity.presence.remove(self.user_id).await;
            Ok(())
        };
        tokio::select! {
            forgotten = forgetting => forgotten.map(|()| JobOutcome::Done),
            _ = work.lease.keep_alive(&work.state.db) => Ok(JobOutcome::Lost),
            () = work.draining.cancelled() => Ok(JobOutcome::Requeued),
        }
    }
}

/// Ends all memberships in conversations and workspaces. Ownership passes to another member.
async fn hand_over_memberships(service: &ConversationsService, user_id: UserId) -> Result<(), AppError> {
    let conversations = account_erasure::conversations(service.db.writer(), user_id).await?;
    let changes =
        conversations.into_iter().map(|id| (id, ServerAction::Depart { user_id }.on_conversation(id))).collect();
    let mut failed = submit_all(service, changes).await?;
    for workspace in account_erasure::workspaces(service.db.writer(), user_id).await? {
        if let Err(error) = leave_workspace(service, workspace, user_id).await {
            tracing::warn!(%error, %workspace, "failed to remove deleted account from workspace");
            failed = Some(error);
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn leave_workspace(service: &ConversationsService, id: WorkspaceId, user_id: UserId) -> Result<(), AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    query::workspaces::lock(&tx, id).await?;
    let heir = account_erasure::leave(&tx, id, user_id, now).await?;
    invitations::revoke_exceeding(&tx, id, user_id, None, now).await?;
    emoji::remove_ended(&tx, id, now).await?;
    tx.commit().await.map_err(app_error)?;
    if let Some(heir) = heir {
        WorkspaceChangeEvent::of(id, [heir]).publish(&service.identity);
    }
    Ok(())
}

/// Anonymises the events that name the user.
async fn rewrite_log(service: &ConversationsService, user_id: UserId) -> Result<(), AppError> {
    let mut failed = None;
    for (conversation, last_seq) in account_erasure::log_ends(service.db.reader(), user_id).await? {
        if let Err(error) = rewrite_log_of(service, user_id, conversation, last_seq).await {
            tracing::warn!(%error, %conversation, "failed to anonymise log of deleted account");
            failed = Some(error);
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn rewrite_log_of(
    service: &ConversationsService,
    user_id: UserId,
    conversation_id: ConversationId,
    last_seq: i64,
) -> Result<(), AppError> {
    let id = user_id.to_string();
    let mut after = -1;
    while after < last_seq {
        let up_to = after + EVENTS_PER_STATEMENT;
        let part = account_erasure::events_about(service.db.reader(), user_id, conversation_id, (after, up_to)).await?;
        after = up_to;
        let mut changed = Vec::new();
        for mut event in part {
            let mut payload: Value = serde_json::from_str(&event.payload).map_err(AppError::internal)?;
            if anonymise(&mut payload, &id) {
                event.payload = payload.to_string();
                changed.push(event);
            }
        }
        query::events::rewrite(service.db.writer(), changed, false).await?;
    }
    Ok(())
}

/// Anonymises the user in an event payload. Returns true if the payload named the user.
fn anonymise(value: &mut Value, id: &str) -> bool {
    match value {
        Value::Array(items) => items.iter_mut().fold(false, |named, item| anonymise(item, id) | named),
        Value::Object(fields) => {
            let is = |name: &str, text: &str| fields.get(name).and_then(Value::as_str) == Some(text);
            let (sender, member) = (is("kind", "user") && is("id", id), is("user_id", id));
            if sender {
                *value = json!({ "kind": "deleted", "id": null, "name": DELETED_USER_NAME });
                return true;
            }
            let named = member && fields.contains_key("display_name") && !is("display_name", DELETED_USER_NAME);
            if named {
                fields.insert("display_name".to_owned(), DELETED_USER_NAME.into());
            }
            fields.values_mut().fold(named, |named, field| anonymise(field, id) | named)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anonymises_only_the_given_user() {
        let mut event = json!({
            "message": { "id": "m", "sender": { "kind": "user", "id": "u1", "name": "Anna" }, "content": "u1" },
            "member": { "user_id": "u1", "display_name": "Anna", "role": "owner" },
            "others": [{ "user_id": "u2", "display_name": "Ben" }, { "kind": "user", "id": "u2", "name": "Ben" }],
        });
        assert!(anonymise(&mut event, "u1"));
        assert_eq!(
            event,
            json!({
                "message": { "id": "m", "sender": { "kind": "deleted", "id": null, "name": DELETED_USER_NAME }, "content": "u1" },
                "member": { "user_id": "u1", "display_name": DELETED_USER_NAME, "role": "owner" },
                "others": [{ "user_id": "u2", "display_name": "Ben" }, { "kind": "user", "id": "u2", "name": "Ben" }],
            })
        );
        assert!(!anonymise(&mut event, "u1"), "already anonymised");
    }
}
