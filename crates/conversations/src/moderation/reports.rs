use std::collections::BTreeSet;

use appcore::{
    AppError, Code, MessageId, ReportId, UserId, WarningId,
    auth::Principal,
    event::Event,
    page::{Page, PageRequest},
    text::normalize_text,
    view::{
        Message, Report, ReportAction, ReportDetails, ReportReason, ReportReceipt, ReportStatus, SenderKind, Warning,
    },
};
use dbcontext::{
    constraint::app_error,
    query::{self, moderation as rows},
};
use event_log::events::MESSAGE_HIDDEN;
use platform::audit::{self, Action, NewAuditEntry};

use super::{ReportFilter, files, hide};
use crate::{ConversationsService, messages};

/// Maximum number of open reports per reporter.
const MAX_UNCLOSED: u64 = 50;
/// Maximum length of the reporter's comment and of a warning's text, in characters.
const MAX_TEXT_CHARS: usize = 1_000;
/// Maximum number of other reports about the same author that the details include.
const MAX_OTHERS: u64 = 20;

/// Reports a message that the caller can read. The flag is true for a new report, and false if the
/// caller has an open one on the message already.
pub async fn report(
    service: &ConversationsService,
    by: &Principal,
    message_id: MessageId,
    reason: ReportReason,
    words: Option<&str>,
) -> Result<(ReportReceipt, bool), AppError> {
    let words = validate_text(words)?;
    let message = messages::find(service, by, message_id).await?;
    check_reportable(by, &message)?;
    let db = service.db.writer();
    if let Some(known) = rows::open_report(db, message_id, by.user_id).await? {
        return Ok((known, false));
    }
    if rows::count_open(db, by.user_id).await? >= MAX_UNCLOSED {
        return Err(AppError::refused(
            Code::TooMany,
            "You've reported many messages. Wait until an admin has reviewed them.",
        ));
    }
    let new = rows::NewReport {
        id: ReportId::new(),
        message_id,
        conversation_id: message.conversation_id,
        reporter_id: by.user_id,
        author_kind: message.sender.kind,
        author_id: message.sender.id,
        reason,
        words,
        excerpt: message.content,
        created_at: service.clock.now(),
    };
    let receipt = ReportReceipt { id: new.id, created_at: new.created_at };
    if rows::insert(db, new).await? {
        return Ok((receipt, true));
    }
    // A concurrent request has reported the same message.
    Ok((rows::open_report(db, message_id, by.user_id).await?.ok_or(Code::Conflict)?, false))
}

fn check_reportable(by: &Principal, message: &Message) -> Result<(), AppError> {
    if message.deleted_at.is_some() {
        return Err(Code::NotFound.into());
    }
    let refused = |sentence| Err(AppError::refused(Code::WrongState, sentence));
    match message.sender.kind {
        SenderKind::User if message.sender.id == Some(by.user_id.0) => refused("You can't report your own messages."),
        SenderKind::System => refused("No one wrote this message, so it can't be reported."),
        _ if message.hidden_at.is_some() => refused(MESSAGE_HIDDEN),
        _ => Ok(()),
    }
}

fn validate_text(words: Option<&str>) -> Result<Option<String>, AppError> {
    let words = normalize_text(words.unwrap_or_default().to_owned());
    let words = words.trim();
    if words.is_empty() {
        return Ok(None);
    }
    if words.chars().count() > MAX_TEXT_CHARS {
        return Err(AppError::field("words", "too_long", format!("Use {MAX_TEXT_CHARS} characters or fewer.")));
    }
    Ok(Some(words.to_owned()))
}

/// Reports, newest first.
pub async fn list(
    service: &ConversationsService,
    by: &Principal,
    filter: ReportFilter,
    page: PageRequest,
) -> Result<Page<Report>, AppError> {
    let (items, total) = rows::list(service.db.reader(), by.user_id, filter, page).await?;
    Ok(Page::new(items, page, total))
}

/// Report with its attachments, other reports about the author, and the number of warnings that the
/// author has received.
pub async fn details(service: &ConversationsService, by: &Principal, id: ReportId) -> Result<ReportDetails, AppError> {
    let db = service.db.reader();
    let report = rows::find(db, by.user_id, id).await?.ok_or(Code::NotFound)?;
    let attachments = match query::messages::get(db, report.message_id).await? {
        Some(message) if message.deleted_at.is_none() => match rows::hidden_content(db, report.message_id).await? {
            Some(hidden) => files(hidden.attachments.as_deref())?,
            None => files(message.attachments.as_deref())?,
        },
        _ => Vec::new(),
    };
    let (mut others, mut warnings) = (Vec::new(), 0);
    if let Some(author) = report.author.id {
        let filter = ReportFilter { author: Some(author), except: Some(report.message_id), ..ReportFilter::default() };
        let page = PageRequest { page: 1, page_size: MAX_OTHERS };
        others = rows::list(db, by.user_id, filter, page).await?.0;
        others.iter_mut().for_each(|other| other.content = None);
        warnings = rows::count_warnings(db, UserId(author)).await?;
    }
    Ok(ReportDetails { report, attachments, others, warnings })
}

/// Assigns a report to the caller, also if it is assigned to somebody else.
pub async fn assign(service: &ConversationsService, by: &Principal, id: ReportId) -> Result<Report, AppError> {
    set_assignee(service, by, id, Some(by.user_id), Action::ReportTaken).await
}

/// Unassigns a report.
pub async fn unassign(service: &ConversationsService, by: &Principal, id: ReportId) -> Result<Report, AppError> {
    set_assignee(service, by, id, None, Action::ReportReleased).await
}

async fn set_assignee(
    service: &ConversationsService,
    by: &Principal,
    id: ReportId,
    to: Option<UserId>,
    action: Action,
) -> Result<Report, AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    let is_passed = rows::assign(&tx, id, to, service.clock.now()).await?;
    let report = rows::find(&tx, by.user_id, id).await?.ok_or(Code::NotFound)?;
    if !is_passed {
        return Err(closed());
    }
    audit::record(&tx, NewAuditEntry::by_principal(by, action, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(report)
}

fn closed() -> AppError {
    AppError::refused(Code::WrongState, "This report is closed.")
}

/// Decision about a report. Without actions the report is dismissed.
#[derive(Clone, Debug, Default)]
pub struct Resolution {
    pub actions: BTreeSet<ReportAction>,
    /// Text of the warning to the author.
    pub words: Option<String>,
}

/// Closes a report and all others on the same message, and applies the actions.
pub async fn resolve(
    service: &ConversationsService,
    by: &Principal,
    id: ReportId,
    resolution: Resolution,
) -> Result<Report, AppError> {
    let words = validate_text(resolution.words.as_deref())?;
    let report = rows::find(service.db.reader(), by.user_id, id).await?.ok_or(Code::NotFound)?;
    if report.status == ReportStatus::Closed {
        return Err(closed());
    }
    let warned = match (resolution.actions.contains(&ReportAction::Warn), report.author.kind, report.author.id) {
        (true, SenderKind::User, Some(author)) => Some(UserId(author)),
        (true, ..) => {
            return Err(AppError::refused(Code::WrongState, "The author has no account, so no one can be warned."));
        }
        (false, ..) => None,
    };
    if resolution.actions.contains(&ReportAction::Hide) && report.deleted_at.is_none() {
        hide(service, by, report.message_id, true).await?;
    }
    let (now, actions) = (service.clock.now(), resolution.actions.iter().copied().collect::<Vec<_>>());
    let tx = service.db.begin().await.map_err(app_error)?;
    if rows::close(&tx, report.message_id, by.user_id, &actions, now).await? == 0 {
        return Err(closed());
    }
    let warning = warned.map(|user_id| rows::NewWarning {
        user_id,
        issued_by: by.user_id,
        warning: Warning {
            id: WarningId::new(),
            reason: report.reason,
            words,
            message_id: Some(report.message_id),
            conversation_id: report.place.as_ref().map(|place| place.conversation_id),
            seen_at: None,
            created_at: now,
        },
    });
    if let Some(new) = &warning {
        rows::warn(&tx, new).await?;
        audit::record(&tx, NewAuditEntry::by_principal(by, Action::AuthorWarned, Some(new.user_id.to_string())))
            .await?;
    }
    let action = if actions.is_empty() { Action::ReportDismissed } else { Action::ReportClosed };
    audit::record(&tx, NewAuditEntry::by_principal(by, action, Some(id.to_string()))).await?;
    let report = rows::find(&tx, by.user_id, id).await?.ok_or(Code::NotFound)?;
    tx.commit().await.map_err(app_error)?;
    if let Some(new) = warning {
        service.notify_user(new.user_id, &Event::WarningChanged { warning: Box::new(new.warning) })?;
    }
    Ok(report)
}
