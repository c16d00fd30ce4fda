//! What a member has chosen for a conversation: nobody else sees it.

use appcore::{
    AppError, Code, ConversationId, SectionId, Timestamp,
    auth::Principal,
    event::Event,
    view::{Notify, OwnMembership, OwnSettings},
};
use dbcontext::query;

use crate::{App, access};

/// `None` leaves a field as it is; an inner `None` takes it away.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnChange {
    pub notify: Option<Notify>,
    pub muted_until: Option<Option<Timestamp>>,
    pub pinned: Option<bool>,
    pub section_id: Option<Option<SectionId>>,
}

/// Changes it, and tells the caller's own connections.
pub async fn set_own(
    app: &App,
    by: &Principal,
    id: ConversationId,
    change: OwnChange,
) -> Result<OwnMembership, AppError> {
    access::member(app, by.user_id, id).await?;
    if let Some(Some(section)) = change.section_id
        && !query::sections::of(app.db.reader(), by.user_id).await?.iter().any(|own| own.id == section)
    {
        return Err(AppError::field("section_id", "not_found", "This section doesn't exist."));
    }
    let seen = query::conversations::find(app.db.writer(), by.user_id, id).await?.ok_or(Code::NotFound)?;
    let old = seen.own()?.ok_or(Code::NotFound)?;
    let settings = OwnSettings {
        notify: change.notify.unwrap_or(old.settings.notify),
        muted_until: change.muted_until.unwrap_or(old.settings.muted_until),
        pinned: change.pinned.unwrap_or(old.settings.pinned),
        section_id: change.section_id.unwrap_or(old.settings.section_id),
    };
    let own = OwnMembership { settings, ..old };
    // What follows from the settings can be chosen too, and stays so then.
    if settings != old.settings || change.notify.is_some() {
        if !query::members::set_own(app.db.writer(), id, by.user_id, settings, change.notify.is_some()).await? {
            return Err(Code::NotFound.into());
        }
        app.tell_own(by.user_id, &Event::OwnChanged { conversation_id: id, own: settings })?;
    }
    Ok(own)
}
