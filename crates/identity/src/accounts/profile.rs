//! User profiles: the caller's own, and those of other users as far as the caller may see them.

use appcore::{
    AppError, Code, Language, UserId, WorkspaceId,
    auth::{Email, Password, Permission, Principal},
    event::{BusMessage, Signal},
    page::{Page, PageRequest},
    text_field::{self, validate_search_text},
    view::{ChosenPresence, User},
};
use dbcontext::{
    constraint::app_error,
    entity::user,
    query::{mail_tokens, sessions as rows, users},
};
use platform::{
    audit::{self, Action, NewAuditEntry},
    time_zone,
};

use super::{
    Device, change_events::announce_user_change, email_change, hashing::QueuedCaller, login_throttle,
    password_hash::PasswordCheck, session_tokens, sessions::announce_ended, signup::parse_name,
};
use crate::IdentityService;
use crate::{
    mail::{self, MailContent, Recipient},
    membership, presence,
};

const MAX_TITLE_CHARS: usize = 80;
const MAX_PRONOUNS_CHARS: usize = 40;

/// Changes to the caller's profile.
#[derive(Default)]
pub struct ProfileChange {
    pub display_name: Option<String>,
    /// Language of mails.
    pub language: Option<Language>,
    /// Time zone; an inner `None` clears it.
    pub timezone: Option<Option<String>>,
    /// True to show the time zone to others.
    pub show_timezone: Option<bool>,
    /// Job title; an inner `None` clears it.
    pub title: Option<Option<String>>,
    /// Pronouns; an inner `None` clears them.
    pub pronouns: Option<Option<String>>,
    /// Presence that is shown for all devices of the user.
    pub chosen_presence: Option<ChosenPresence>,
    pub password: Option<PasswordChange>,
}

pub struct PasswordChange {
    pub current: String,
    pub new: String,
    /// Name of the request field with the new password, for error messages.
    pub field: &'static str,
    pub device: Device,
}

/// Returns the caller's own account.
pub async fn me(service: &IdentityService, by: &Principal) -> Result<User, AppError> {
    let user = users::by_id(service.db.reader(), by.user_id).await?.ok_or(Code::Unauthenticated)?;
    Ok(with_presence(service, session_tokens::own_view(&user)).await)
}

/// Returns a user with whom the caller shares a workspace.
pub async fn find(service: &IdentityService, by: &Principal, id: UserId) -> Result<User, AppError> {
    if id == by.user_id {
        return me(service, by).await;
    }
    let user = users::find(service.db.reader(), by.user_id, id).await?.ok_or(Code::NotFound)?;
    Ok(with_presence(service, session_tokens::others_view(&user)).await)
}

/// Searches users of a workspace by a part of their name or by their complete email address. An
/// empty text finds all of them.
pub async fn search(
    service: &IdentityService,
    by: &Principal,
    workspace_id: Option<WorkspaceId>,
    text: &str,
    page: PageRequest,
) -> Result<Page<User>, AppError> {
    validate_search_text(text)?;
    let place = membership::resolve(service, by, workspace_id, Permission::View).await?;
    let (rows, total) = users::search(service.db.reader(), by.user_id, place.id, text, page).await?;
    let mut items = rows.iter().map(session_tokens::others_view).collect::<Vec<_>>();
    add_presence(service, &mut items).await;
    Ok(Page::new(items, page, total))
}

/// Changes the caller's profile, language, chosen presence and password. If one change is
/// refused, none is made.
pub async fn update_me(service: &IdentityService, by: &Principal, change: ProfileChange) -> Result<User, AppError> {
    let own = if change.password.is_some() { Some(by.require_session()?) } else { None };
    let display_name = change.display_name.as_deref().map(parse_name).transpose()?;
    let timezone = change.timezone.map(|name| name.as_deref().map(parse_timezone).transpose()).transpose()?;
    let title = change.title.map(|text| parse_profile_field("title", text, MAX_TITLE_CHARS)).transpose()?;
    let pronouns = change.pronouns.map(|text| parse_profile_field("pronouns", text, MAX_PRONOUNS_CHARS)).transpose()?;
    let account = users::by_id(service.db.reader(), by.user_id).await?.ok_or(Code::Unauthenticated)?;
    let hash = match change.password {
        Some(password) => Some(new_password_hash(service, &account, password).await?),
        None => None,
    };
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let current = users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    let mut ended = Vec::new();
    if let Some(hash) = hash {
        // The password was changed by a concurrent request.
        if current.password_hash != account.password_hash {
            return Err(Code::PasswordWrong.into());
        }
        users::set_password(&tx, by.user_id, &hash, now).await?;
        ended = rows::end_all(&tx, by.user_id, own, now).await?;
        mail_tokens::remove(&tx, by.user_id.0).await?;
        email_change::cancel_all(&tx, by.user_id).await?;
        mail::enqueue(&tx, now, Recipient::User(by.user_id), MailContent::PasswordChanged { at: now }).await?;
        audit::record(&tx, NewAuditEntry::by_principal(by, Action::PasswordChanged, None)).await?;
    }
    if let Some(name) = &display_name {
        users::rename(&tx, by.user_id, name, now).await?;
    }
    if let Some(language) = change.language {
        users::set_language(&tx, by.user_id, language, now).await?;
    }
    if timezone.is_some() || change.show_timezone.is_some() {
        users::set_timezone(&tx, by.user_id, timezone, change.show_timezone, now).await?;
    }
    if title.is_some() || pronouns.is_some() {
        users::set_profile_fields(&tx, by.user_id, title, pronouns, now).await?;
    }
    if let Some(chosen) = change.chosen_presence {
        users::set_chosen_presence(&tx, by.user_id, chosen, now).await?;
    }
    let user = users::by_id(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    let is_renamed = user.display_name != current.display_name;
    tx.commit().await.map_err(app_error)?;
    announce_ended(service, ended).await;
    if display_name.is_some() {
        drop(service.bus.publish(vec![BusMessage::Signal(Signal::UserChanged(by.user_id))]));
    }
    if is_renamed {
        announce_user_change(service, by.user_id).await;
    }
    if change.chosen_presence.is_some() {
        presence::announce(service, &presence::presences(service, &[by.user_id]).await).await?;
    }
    service.notify_account_changed(by.user_id)?;
    Ok(with_presence(service, session_tokens::own_view(&user)).await)
}

/// Parses an optional line of the profile. An empty text clears it.
fn parse_profile_field(
    field: &'static str,
    text: Option<String>,
    max_chars: usize,
) -> Result<Option<String>, AppError> {
    let text = text.filter(|text| !text.trim().is_empty());
    text.map(|text| text_field::parse_name(field, &text, max_chars)).transpose()
}

/// Canonical name of a time zone. Case is ignored.
fn parse_timezone(name: &str) -> Result<String, AppError> {
    let zone = time_zone::find(name);
    let name = zone.as_ref().and_then(|zone| zone.iana_name());
    name.map(str::to_owned).ok_or_else(|| AppError::field("timezone", "invalid", time_zone::INVALID_TIME_ZONE))
}

/// Adds presence, last activity and custom status to the users.
pub async fn add_presence<'a>(service: &IdentityService, people: impl IntoIterator<Item = &'a mut User>) {
    let people: Vec<&mut User> = people.into_iter().collect();
    let ids: Vec<UserId> = people.iter().map(|person| person.id).collect();
    for (person, presence) in people.into_iter().zip(presence::presences(service, &ids).await) {
        person.presence = Some(presence.status);
        person.last_seen = presence.last_seen;
        person.custom_status = presence.custom_status;
    }
}

async fn with_presence(service: &IdentityService, mut user: User) -> User {
    add_presence(service, [&mut user]).await;
    user
}

/// Checks the current password and the new one, and returns the hash of the new one.
async fn new_password_hash(
    service: &IdentityService,
    account: &user::Model,
    change: PasswordChange,
) -> Result<String, AppError> {
    let email = Email::parse(&account.email).ok();
    let policy = &service.config.auth.password;
    let new = Password::parse(policy, change.field, &change.new, email.as_ref()).map_err(AppError::Invalid)?;
    let guess = login_throttle::begin(service, &account.email, Some(account.id), &change.device).await?;
    let (hashing, applicant) = (&service.accounts.hashing, QueuedCaller::user(account.id));
    if hashing.verify(applicant.clone(), change.current, account.password_hash.clone()).await? == PasswordCheck::Wrong {
        guess.record_failure().await;
        return Err(Code::PasswordWrong.into());
    }
    guess.record_success().await;
    hashing.hash(applicant, new.expose().to_owned()).await
}
