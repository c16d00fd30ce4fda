//! Setup assistant of a new installation: its steps and their progress. No step is mandatory.

use std::{sync::Arc, time::Duration};

use ::ai::{AiError, ChatMessage, ChatRequest};
use appcore::{
    AppError, Code, Language,
    auth::{Email, Principal},
    view::{MailTest, QuestionTest, Setup, SetupAddress, SetupMail, SetupModels, SetupWorkspace, WorkspaceRole},
};
use dbcontext::{
    constraint::app_error,
    query::{
        admin_users,
        installation::{self as rows, MAIL_TESTED, QUESTION_ANSWERED, SETUP_FINISHED},
        users, workspaces,
    },
};
use identity::mail;
use platform::{
    audit::{self, Action, NewAuditEntry},
    throttle::Quota,
};
use tokio::time::Instant;

use crate::OpsService;

/// Maximum number of test emails and test questions per administrator and hour.
const TEST_QUOTA: Quota = Quota { limit: 20, window: Duration::from_secs(3_600) };
/// Timeout of the test question.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(30);
const QUESTION: &str = "Answer in one short sentence: are you there?";
/// Maximum number of characters of the answer that are shown.
const MAX_SHOWN_CHARS: usize = 400;

/// Returns the progress of the setup.
pub async fn read(service: &OpsService, by: &Principal, own_url: &str) -> Result<Setup, AppError> {
    let db = service.db.reader();
    let times = rows::times(db).await?;
    let workspace = match workspaces::shared(db).await? {
        Some(shared) => {
            let role = workspaces::role(db, shared.id, by.user_id).await?;
            let may_rename = role == Some(WorkspaceRole::Owner) && !service.config.names_shared_workspace();
            let is_named = service.config.shared_workspace() != Some(shared.name.as_str())
                || service.config.names_shared_workspace();
            Some(SetupWorkspace { id: shared.id, name: shared.name, may_rename, is_named })
        }
        None => None,
    };
    Ok(Setup {
        finished_at: times.get(SETUP_FINISHED).copied(),
        workspace,
        address: SetupAddress {
            url: service.config.server.public_url(),
            is_set: service.config.server.public_url.is_some(),
            request_url: own_url.to_owned(),
        },
        mail: SetupMail { is_set: service.config.mail.smtp_url.is_some(), tested_at: times.get(MAIL_TESTED).copied() },
        models: SetupModels {
            providers: gateway::providers::list(&service.gateway).into_iter().map(|provider| provider.name).collect(),
            tested_at: times.get(QUESTION_ANSWERED).copied(),
        },
        people: i64::try_from(admin_users::count(db).await?).unwrap_or(i64::MAX),
    })
}

/// Marks the setup as finished, or undoes that.
pub async fn finish(service: &OpsService, by: &Principal, is_done: bool) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    if is_done {
        rows::record(&tx, SETUP_FINISHED, service.clock.now()).await?;
    } else {
        rows::delete(&tx, SETUP_FINISHED).await?;
    }
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::SetupChanged, None)).await?;
    tx.commit().await.map_err(app_error)
}

/// Sends a test email to the caller, and waits until the mail server has accepted it.
pub async fn send_test_mail(service: &OpsService, by: &Principal) -> Result<MailTest, AppError> {
    let account = users::by_id(service.db.reader(), by.user_id).await?.ok_or(Code::Unauthenticated)?;
    check_quota(service, by, "mail").await?;
    let email = Email::parse(&account.email).map_err(|error| AppError::Invalid(vec![error]))?;
    let (mailer, language) = (&service.identity.mailer, Language::from_stored_tag(&account.language));
    let sent = mail::send_test(&service.config, mailer, &email, language).await;
    if sent.is_ok() && service.config.mail.smtp_url.is_some() {
        rows::record(service.db.writer(), MAIL_TESTED, service.clock.now()).await?;
    }
    Ok(MailTest { ok: sent.is_ok(), to: account.email, error: sent.err() })
}

/// Asks the default model a test question, in the way in which an assistant does.
pub async fn ask_test_question(service: &OpsService, by: &Principal) -> Result<QuestionTest, AppError> {
    check_quota(service, by, "question").await?;
    let (model, route) = gateway::resolve_model(&service.gateway, None);
    if route.is_ok()
        && let Err(refused) = gateway::check_price(&service.gateway, &model, "model")
    {
        let error = Some(refused.sentence().into_owned());
        return Ok(QuestionTest { ok: false, model: None, answer: None, duration_ms: 0, error });
    }
    let begun = Instant::now();
    let asked = async {
        let route = route?;
        let request = ChatRequest { messages: vec![ChatMessage::user(QUESTION.to_owned())], ..ChatRequest::default() };
        let is_enough = |text: &str| text.len() > MAX_SHOWN_CHARS * 4;
        let text = service.gateway.ai().chat_text(&route, request, &Arc::default(), is_enough).await?;
        Ok::<_, AiError>((model, text.trim().chars().take(MAX_SHOWN_CHARS).collect::<String>()))
    };
    let answered = tokio::time::timeout(QUESTION_TIMEOUT, asked).await;
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let failed = |error: String| QuestionTest { ok: false, model: None, answer: None, duration_ms, error: Some(error) };
    Ok(match answered {
        Ok(Ok((model, answer))) => {
            if service.gateway.ai().has_provider() {
                rows::record(service.db.writer(), QUESTION_ANSWERED, service.clock.now()).await?;
            }
            QuestionTest { ok: true, model: Some(model), answer: Some(answer), duration_ms, error: None }
        }
        Ok(Err(error)) => failed(error.to_string()),
        Err(_) => failed(format!("no answer within {} s", QUESTION_TIMEOUT.as_secs())),
    })
}

async fn check_quota(service: &OpsService, by: &Principal, what: &str) -> Result<(), AppError> {
    if service.identity.attempts.consume(format!("setup:{what}:{}", by.user_id), TEST_QUOTA).await? {
        Ok(())
    } else {
        Err(Code::RateLimited.into())
    }
}
