//! Moderation: reports by members, their handling by administrators, and rules per channel.
//!
//! Hiding a message moves its content aside, so no reader, search or assistant has to check for
//! hidden messages. The author and administrators read it [here](hidden); reads by administrators
//! are recorded in the audit log. A report keeps the content of the message until it is closed.

mod reports;

use appcore::{
    AppError, Code, ConversationId, MessageId, WarningId,
    auth::Principal,
    event::Event,
    page::{Page, PageRequest},
    view::{HiddenMessage, Message, SenderKind, Upload, Warning, WordFilter},
};
use dbcontext::query::{self, moderation as rows};

pub use dbcontext::query::moderation::Filter as ReportFilter;
use event_log::{
    access,
    events::{HideMessage, MemberAction, ServerAction, UpdateConversation},
};
use identity::accounts::Confirmed;
use platform::{
    audit::{self, Action, NewAuditEntry},
    word_filter,
};
pub use reports::{Resolution, assign, details, list, report, resolve, unassign};

use crate::ConversationsService;

/// Hides the content of a message from everybody except its author and administrators, or restores
/// it.
pub async fn hide(
    service: &ConversationsService,
    by: &Principal,
    id: MessageId,
    is_hidden: bool,
) -> Result<Message, AppError> {
    let message = query::messages::get(service.db.reader(), id).await?.ok_or(Code::NotFound)?;
    let action = if is_hidden { Action::MessageHidden } else { Action::MessageRestored };
    let entry = NewAuditEntry::by_principal(by, action, Some(id.to_string()));
    let hide = ServerAction::Hide(HideMessage { message_id: id, by: by.user_id, is_hidden, entry });
    service.events.writer.submit(hide.on_conversation(message.conversation_id)).await?.message()
}

/// Content of a hidden message, for its author and for administrators.
///
/// An administrator needs a session. They need a recent sign-in too if the message was never
/// reported and they can't read its conversation: otherwise they could read any message whose id
/// they know, by hiding it. Each read by an administrator is in the audit log.
pub async fn hidden_content(
    service: &ConversationsService,
    by: &Principal,
    id: MessageId,
) -> Result<HiddenMessage, AppError> {
    let db = service.db.reader();
    let found = rows::hidden_content(db, id).await?.ok_or(Code::NotFound)?;
    let is_own = found.sender_kind == SenderKind::User && found.sender_id == Some(by.user_id.0);
    let may_read = query::messages::find(db, by.user_id, id).await?.is_some();
    if !(is_own && may_read) {
        if !by.is_admin() {
            return Err(Code::NotFound.into());
        }
        by.require_session()?;
        if !may_read && !rows::is_reported(db, id).await? {
            Confirmed::authorize(&service.identity, by).await?;
        }
        audit::record(
            service.db.writer(),
            NewAuditEntry::by_principal(by, Action::HiddenMessageRead, Some(id.to_string())),
        )
        .await?;
    }
    Ok(HiddenMessage {
        message_id: id,
        content: found.content,
        attachments: files(found.attachments.as_deref())?,
        hidden_at: found.hidden_at,
    })
}

fn files(stored: Option<&str>) -> Result<Vec<Upload>, AppError> {
    stored.map_or(Ok(Vec::new()), |text| serde_json::from_str(text).map_err(AppError::internal))
}

/// Warnings that moderators have issued to the caller, newest first.
pub async fn warnings(
    service: &ConversationsService,
    by: &Principal,
    only_unseen: bool,
    page: PageRequest,
) -> Result<Page<Warning>, AppError> {
    let (items, total) = rows::warnings(service.db.reader(), by.user_id, only_unseen, page).await?;
    Ok(Page::new(items, page, total))
}

/// Acknowledges a warning.
pub async fn acknowledge_warning(
    service: &ConversationsService,
    by: &Principal,
    id: WarningId,
) -> Result<Warning, AppError> {
    let warning =
        rows::mark_seen(service.db.writer(), by.user_id, id, service.clock.now()).await?.ok_or(Code::NotFound)?;
    service.notify_user(by.user_id, &Event::WarningChanged { warning: Box::new(warning.clone()) })?;
    Ok(warning)
}

/// Word filter of a channel, for its managers.
pub async fn word_filter(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
) -> Result<WordFilter, AppError> {
    let access = access::reader(&service.events, by.user_id, id).await?;
    if !access.may_manage() {
        return Err(Code::Forbidden.into());
    }
    let stored = query::conversations::word_filter(service.db.reader(), id).await?;
    stored.map_or_else(|| Ok(WordFilter::default()), |text| serde_json::from_str(&text).map_err(AppError::internal))
}

/// Sets the word filter of a channel.
pub async fn set_word_filter(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    filter: WordFilter,
) -> Result<WordFilter, AppError> {
    let filter = word_filter::validate(filter)?;
    let stored = match filter.words.is_empty() {
        true => None,
        false => Some(serde_json::to_string(&filter).map_err(AppError::internal)?),
    };
    let update = UpdateConversation {
        title: None,
        topic: None,
        posting: None,
        model: None,
        mention_all: None,
        slow_mode_seconds: None,
        word_filter: Some(stored),
        entry: Some(NewAuditEntry::by_principal(by, Action::WordFilterChanged, Some(id.to_string()))),
    };
    service.events.writer.submit(MemberAction::Update(update).by_member(by.user_id, id)).await?;
    Ok(filter)
}
