//! Mail job: sends one mail to the mail server.

use std::time::Duration;

use appcore::{
    AppError, Language, UserId,
    auth::{Email, token},
};
use dbcontext::query::{mail_tokens, users};
use jobs::{Job, JobContext, JobOutcome, JobPayload};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ADDRESS_QUOTA, MailContent, Recipient, compose, transport::SendError};
use crate::IdentityService;

/// Maximum number of mails that all instances send concurrently, so that a mail server that doesn't
/// respond can't occupy every worker.
const MAX_CONCURRENT: usize = 8;
/// Time that a shutdown waits for a mail in transmission. An interrupted mail might arrive twice.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);

/// Job that sends one mail. It contains personal data and is deleted after sending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailJob {
    pub to: Recipient,
    pub letter: MailContent,
}

/// Recipient's data, read when the mail is sent.
struct MailRecipient {
    email: Email,
    language: Language,
    user: Option<UserId>,
    is_verified: bool,
}

impl JobPayload for MailJob {
    const KIND: &'static str = "mail";

    /// Mails to one recipient are sent one after the other, in order.
    fn concurrency_key(&self) -> String {
        let name = match &self.to {
            Recipient::User(id) => id.to_string(),
            Recipient::Account(email) | Recipient::Address { email, .. } => email.as_str().to_owned(),
        };
        let lane = name.bytes().fold(0, |sum, byte| (sum * 31 + usize::from(byte)) % MAX_CONCURRENT);
        format!("{}:{lane}", Self::KIND)
    }

    fn subject(&self) -> Uuid {
        match (&self.to, &self.letter) {
            (_, MailContent::Invitation { invitation_id, .. }) => *invitation_id,
            (Recipient::User(id), _) => id.0,
            _ => Uuid::nil(),
        }
    }
}

impl Job<IdentityService> for MailJob {
    async fn run(self, work: JobContext<'_, IdentityService>) -> Result<JobOutcome, AppError> {
        let stopping = async {
            work.draining.cancelled().await;
            tokio::time::sleep(SHUTDOWN_GRACE).await;
        };
        tokio::select! {
            sent = self.send(work) => sent,
            _ = work.lease.keep_alive(&work.state.db) => Ok(JobOutcome::Lost),
            () = stopping => Ok(JobOutcome::Requeued),
        }
    }
}

/// Sends a mail that the user has subscribed to, without another job, if the address is verified.
/// `unsubscribe` is the URL for unsubscribing.
pub async fn send_subscription_mail(
    work: JobContext<'_, IdentityService>,
    to: UserId,
    letter: MailContent,
    unsubscribe: String,
) -> Result<JobOutcome, AppError> {
    MailJob { to: Recipient::User(to), letter }.compose_and_send(work, Some(unsubscribe)).await
}

impl MailJob {
    async fn send(&self, work: JobContext<'_, IdentityService>) -> Result<JobOutcome, AppError> {
        self.compose_and_send(work, None).await
    }

    async fn compose_and_send(
        &self,
        work: JobContext<'_, IdentityService>,
        unsubscribe: Option<String>,
    ) -> Result<JobOutcome, AppError> {
        let service = work.state;
        let Some(addressee) = self.load_recipient(service).await? else { return Ok(JobOutcome::Done) };
        if self.letter == MailContent::Verification && addressee.is_verified {
            return Ok(JobOutcome::Done);
        }
        if unsubscribe.is_some() && !addressee.is_verified {
            return Ok(JobOutcome::Done);
        }
        let subject = format!("mail:{}:{}", self.letter.name(), addressee.email.as_str());
        // A retry does not count against the limit again.
        let is_limited = self.letter.page().is_none();
        if is_limited && work.claim.attempt <= 1 && !service.attempts.consume(subject, ADDRESS_QUOTA).await? {
            tracing::warn!(job = %work.claim.id, letter = self.letter.name(), "mail dropped by the rate limit of its address");
            return Ok(JobOutcome::Done);
        }
        let now = service.clock.now();
        let link = match self.letter.link(addressee.user, now) {
            Some(link) => {
                let token = token::random_token().map_err(AppError::internal)?;
                let hash = token::hash_token(&token);
                mail_tokens::upsert(service.db.writer(), link.purpose, link.subject, hash, now, link.expires_at)
                    .await?;
                Some(format!("{}/{}?token={token}", service.config.server.public_url(), link.page))
            }
            None => self.letter.page().map(|page| format!("{}/{page}", service.config.server.public_url())),
        };
        let mut written =
            compose::compose_mail(&self.letter, addressee.language, &service.config.server.public_host(), link)?;
        written.unsubscribe = unsubscribe;
        if !work.lease.is_valid() {
            return Ok(JobOutcome::Lost);
        }
        match service.mailer.send(work.claim.id, &addressee.email, written).await {
            Ok(()) => {
                tracing::info!(job = %work.claim.id, "mail sent");
                Ok(JobOutcome::Done)
            }
            Err(SendError::Rejected(reason)) => Ok(JobOutcome::DeadLettered(reason)),
            Err(SendError::Temporary(cause)) => Err(AppError::unavailable(cause)),
        }
    }

    /// Reads the recipient. Returns `None` if there is no account to write to.
    async fn load_recipient(&self, service: &IdentityService) -> Result<Option<MailRecipient>, AppError> {
        let user = match &self.to {
            Recipient::User(id) => users::by_id(service.db.reader(), *id).await?,
            Recipient::Account(email) => users::by_email(service.db.reader(), email.as_str()).await?,
            Recipient::Address { email, language } => {
                let (email, language) = (email.clone(), *language);
                return Ok(Some(MailRecipient { email, language, user: None, is_verified: false }));
            }
        };
        let Some(user) = user else { return Ok(None) };
        let email = Email::parse(&user.email).map_err(|error| AppError::internal(anyhow::anyhow!(error.message)))?;
        Ok(Some(MailRecipient {
            email,
            language: Language::from_stored_tag(&user.language),
            user: Some(user.id),
            is_verified: user.email_verified_at.is_some(),
        }))
    }
}
