//! A member's private settings for a conversation.

use appcore::{
    AppError, Code, ConversationId, SectionId, Timestamp,
    auth::Principal,
    event::Event,
    view::{Notify, OwnMembership, OwnSettings},
};
use dbcontext::query;
use event_log::access;

use crate::ConversationsService;

/// Partial update of the settings. `None` leaves a field unchanged; an inner `None` clears it.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemberSettingsChange {
    /// Notification level; an inner `None` resets it to the user's default.
    pub notify: Option<Option<Notify>>,
    pub muted_until: Option<Option<Timestamp>>,
    pub pinned: Option<bool>,
    pub section_id: Option<Option<SectionId>>,
}

/// Changes the settings and notifies the caller's other connections of them.
pub async fn set_member_settings(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    change: MemberSettingsChange,
) -> Result<OwnMembership, AppError> {
    access::member(&service.events, by.user_id, id).await?;
    if let Some(Some(section)) = change.section_id
        && !query::sections::list(service.db.reader(), by.user_id).await?.iter().any(|own| own.id == section)
    {
        return Err(AppError::field("section_id", "not_found", "This section doesn't exist."));
    }
    let seen = query::conversations::find(service.db.writer(), by.user_id, id).await?.ok_or(Code::NotFound)?;
    let old = seen.own_membership().ok_or(Code::NotFound)?;
    let chooses_notify = change.notify.map(|notify| notify.is_some());
    let mut settings = OwnSettings {
        notify: change.notify.flatten().unwrap_or(old.settings.notify),
        notify_chosen: chooses_notify.unwrap_or(old.settings.notify_chosen),
        muted_until: change.muted_until.unwrap_or(old.settings.muted_until),
        pinned: change.pinned.unwrap_or(old.settings.pinned),
        section_id: change.section_id.unwrap_or(old.settings.section_id),
    };
    if settings != old.settings {
        if !query::members::set_own(service.db.writer(), id, by.user_id, settings, chooses_notify).await? {
            return Err(Code::NotFound.into());
        }
        if chooses_notify == Some(false) {
            let now = query::conversations::find(service.db.writer(), by.user_id, id).await?.ok_or(Code::NotFound)?;
            settings.notify = now.own_membership().ok_or(Code::NotFound)?.settings.notify;
        }
        service.notify_user(by.user_id, &Event::OwnSettingsChanged { conversation_id: id, own: settings })?;
    }
    Ok(OwnMembership { settings, ..old })
}
