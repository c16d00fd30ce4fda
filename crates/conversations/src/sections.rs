//! Sidebar sections (folders) of a user. A section with instructions or
//! [files](assistants::knowledge) is a project: in the user's one-to-one chats of that section,
//! assistants follow the instructions and answer from the files.

use appcore::{AppError, Code, SectionId, auth::Principal, event::Event, text_field::parse_line, view::Section};
use assistants::definitions::instructions;
use dbcontext::{
    constraint::app_error,
    query::{sections as rows, texts::row_bytes, users},
};
use files::quotas;
use platform::cleanup;
use sea_orm::ConnectionTrait;

use crate::ConversationsService;

const MAX_NAME_CHARS: usize = 80;
/// Maximum length of the instructions, in characters.
const MAX_INSTRUCTIONS: usize = 8_000;
/// Maximum number of sections per user.
const MAX_SECTIONS: usize = 100;

/// Partial update of a section; `None` leaves a value unchanged.
#[derive(Clone, Debug, Default)]
pub struct SectionChange {
    pub name: Option<String>,
    pub position: Option<i64>,
}

/// Sections of the caller, in their order.
pub async fn list(service: &ConversationsService, by: &Principal) -> Result<Vec<Section>, AppError> {
    rows::list(service.db.reader(), by.user_id).await
}

/// Creates a section, at the end unless a position is given.
pub async fn create(
    service: &ConversationsService,
    by: &Principal,
    name: &str,
    position: Option<i64>,
) -> Result<Section, AppError> {
    let name = parse_line("name", name, MAX_NAME_CHARS)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    // Serialises the changes of a user's sections.
    users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    let mut sections = rows::list(&tx, by.user_id).await?;
    if sections.len() >= MAX_SECTIONS {
        return Err(AppError::refused(Code::WrongState, format!("You can have up to {MAX_SECTIONS} sections.")));
    }
    let new = Section { id: SectionId::new(), name, position: 0 };
    rows::insert(&tx, by.user_id, &new).await?;
    let id = new.id;
    let place = clamp_position(position, sections.len());
    sections.insert(place, new);
    let sections = renumber(&tx, by, sections).await?;
    tx.commit().await.map_err(app_error)?;
    publish(service, by, &sections)?;
    sections.into_iter().find(|section| section.id == id).ok_or_else(|| Code::NotFound.into())
}

/// Renames or moves a section.
pub async fn update(
    service: &ConversationsService,
    by: &Principal,
    id: SectionId,
    change: SectionChange,
) -> Result<Section, AppError> {
    let name = change.name.as_deref().map(|name| parse_line("name", name, MAX_NAME_CHARS)).transpose()?;
    let tx = service.db.begin().await.map_err(app_error)?;
    users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    let mut sections = rows::list(&tx, by.user_id).await?;
    let at = sections.iter().position(|section| section.id == id).ok_or(Code::NotFound)?;
    let mut section = sections.remove(at);
    if let Some(name) = name {
        section.name = name;
        rows::update(&tx, by.user_id, &section).await?;
    }
    let place = clamp_position(change.position.or(i64::try_from(at).ok()), sections.len());
    sections.insert(place, section);
    let sections = renumber(&tx, by, sections).await?;
    tx.commit().await.map_err(app_error)?;
    publish(service, by, &sections)?;
    sections.into_iter().find(|section| section.id == id).ok_or_else(|| Code::NotFound.into())
}

/// Removes a section with its files. Its conversations remain, but are in no section.
pub async fn remove(service: &ConversationsService, by: &Principal, id: SectionId) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    let mut sections = rows::list(&tx, by.user_id).await?;
    let at = sections.iter().position(|section| section.id == id).ok_or(Code::NotFound)?;
    sections.remove(at);
    rows::remove(&tx, by.user_id, id).await?;
    let sections = renumber(&tx, by, sections).await?;
    cleanup::enqueue_knowledge_sweep(&tx, service.clock.now()).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    publish(service, by, &sections)
}

/// Instructions of a section for assistants; empty if there are none.
pub async fn instructions(service: &ConversationsService, by: &Principal, id: SectionId) -> Result<String, AppError> {
    rows::instructions(service.db.reader(), by.user_id, id).await?.ok_or_else(|| Code::NotFound.into())
}

/// Sets the instructions. Returns them as stored.
pub async fn set_instructions(
    service: &ConversationsService,
    by: &Principal,
    id: SectionId,
    text: &str,
) -> Result<String, AppError> {
    let text = instructions::parse(text, MAX_INSTRUCTIONS)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    let before = rows::instructions(&tx, by.user_id, id).await?.ok_or(Code::NotFound)?;
    quotas::check_text_quota(&service.files, &tx, by.user_id, row_bytes(&[&before]), row_bytes(&[&text])).await?;
    if !rows::set_instructions(&tx, by.user_id, id, &text).await? {
        return Err(Code::NotFound.into());
    }
    tx.commit().await.map_err(app_error)?;
    Ok(text)
}

/// Notifies the caller's connections.
fn publish(service: &ConversationsService, by: &Principal, sections: &[Section]) -> Result<(), AppError> {
    service.notify_user(by.user_id, &Event::SectionsChanged { sections: sections.to_vec() })
}

fn clamp_position(wanted: Option<i64>, last: usize) -> usize {
    wanted.map_or(last, |wanted| usize::try_from(wanted.max(0)).unwrap_or(last).min(last))
}

/// Renumbers the sections from 0 in this order.
async fn renumber<C: ConnectionTrait>(
    db: &C,
    by: &Principal,
    mut sections: Vec<Section>,
) -> Result<Vec<Section>, AppError> {
    for (position, section) in (0..).zip(&mut sections) {
        if section.position != position {
            section.position = position;
            rows::update(db, by.user_id, section).await?;
        }
    }
    Ok(sections)
}
