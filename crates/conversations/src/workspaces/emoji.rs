//! Custom emoji of a workspace: small images with names. The image is an upload that lives as long
//! as the emoji.

use appcore::{
    AppError, Code, Timestamp, UploadId, WorkspaceId,
    auth::{Permission, Principal},
    event::{BusMessage, Envelope, Event, Topic},
    page::{Page, PageRequest},
    view::{PromptAuthor, WorkspaceEmoji, WorkspaceRole},
};
use dbcontext::{
    constraint::app_error,
    query::{
        emoji::{self as rows, EmojiRow, SeenEmoji},
        uploads as uploaded, workspaces,
    },
};
use platform::{cleanup::SweepJob, emoji, small_picture::SmallPictureRules};
use sea_orm::ConnectionTrait;

use crate::ConversationsService;

/// Maximum number of emoji per workspace.
const MAX_EMOJI: u64 = 500;
const IMAGE_RULES: SmallPictureRules = SmallPictureRules {
    name: "An emoji",
    media_types: ["image/png", "image/gif", "image/webp"],
    formats: "PNG, GIF or WebP",
    max_bytes: 256 * 1024,
    max_side: 512,
};

/// Emoji of a workspace, by name.
pub async fn list(
    service: &ConversationsService,
    by: &Principal,
    id: WorkspaceId,
    page: PageRequest,
) -> Result<Page<WorkspaceEmoji>, AppError> {
    let role = role(service, by, id).await?;
    let (found, total) = rows::list(service.db.reader(), id, page).await?;
    Ok(Page::new(found, page, total).map(|seen| view(seen, by, role)))
}

/// Adds an emoji from an image that the caller has uploaded.
pub async fn add(
    service: &ConversationsService,
    by: &Principal,
    id: WorkspaceId,
    name: &str,
    upload_id: UploadId,
) -> Result<WorkspaceEmoji, AppError> {
    let name = parse_name(name)?;
    let row =
        EmojiRow { workspace_id: id, name, upload_id, created_by: Some(by.user_id), created_at: service.clock.now() };
    let tx = service.db.begin().await.map_err(app_error)?;
    workspaces::lock(&tx, id).await?;
    let role = workspaces::role(&tx, id, by.user_id).await?.ok_or(Code::NotFound)?;
    if !role.may(Permission::CreateContent) {
        return Err(Code::Forbidden.into());
    }
    // Locks the upload until it is attached.
    let upload = uploaded::lock_to_send(&tx, [upload_id]).await?.pop();
    IMAGE_RULES.check(&upload.filter(|upload| upload.owner_id == Some(by.user_id)).ok_or(Code::NotFound)?)?;
    if rows::count(&tx, id).await? >= MAX_EMOJI {
        let sentence = format!("A workspace can have up to {MAX_EMOJI} emoji. Remove one first.");
        return Err(AppError::refused(Code::TooMany, sentence));
    }
    rows::insert(&tx, &row).await?;
    let seen = rows::find(&tx, id, &row.name).await?.ok_or(Code::NotFound)?;
    tx.commit().await.map_err(app_error)?;
    publish_change(service, id);
    Ok(view(seen, by, role))
}

/// Removes an emoji. Allowed to its author and to those who may configure the workspace.
pub async fn remove(
    service: &ConversationsService,
    by: &Principal,
    id: WorkspaceId,
    name: &str,
) -> Result<(), AppError> {
    let role = role(service, by, id).await?;
    let seen = rows::find(service.db.writer(), id, name).await?.ok_or(Code::NotFound)?;
    if !may_remove(&seen.emoji, by, role) {
        let sentence = "Only the person who added this emoji, or an admin of the workspace, can remove it.";
        return Err(AppError::refused(Code::Forbidden, sentence));
    }
    let tx = service.db.begin().await.map_err(app_error)?;
    let picture = rows::remove(&tx, id, name).await?.ok_or(Code::NotFound)?;
    enqueue_removal(&tx, service.clock.now(), picture).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    publish_change(service, id);
    Ok(())
}

/// Removes all emoji of a workspace that is deleted in the caller's transaction.
pub(crate) async fn remove_ended<C: ConnectionTrait>(tx: &C, id: WorkspaceId, now: Timestamp) -> Result<(), AppError> {
    for picture in rows::remove_all(tx, id).await? {
        enqueue_removal(tx, now, picture).await?;
    }
    Ok(())
}

async fn enqueue_removal<C: ConnectionTrait>(tx: &C, now: Timestamp, picture: UploadId) -> Result<(), AppError> {
    jobs::enqueue(tx, now, &SweepJob::Upload(picture)).await
}

async fn role(service: &ConversationsService, by: &Principal, id: WorkspaceId) -> Result<WorkspaceRole, AppError> {
    workspaces::role(service.db.reader(), id, by.user_id).await?.ok_or_else(|| Code::NotFound.into())
}

fn parse_name(name: &str) -> Result<String, AppError> {
    let name = name.trim().trim_matches(':').to_lowercase();
    if !emoji::is_custom_name(&name) {
        let sentence = "Use 2 to 32 letters from a to z, digits, - and _.";
        return Err(AppError::field("name", "invalid", sentence));
    }
    if emoji::is_unicode_shortcode(&name) {
        return Err(AppError::field(
            "name",
            "taken",
            "This is the name of an emoji that everyone has. Choose another one.",
        ));
    }
    Ok(name)
}

fn may_remove(row: &EmojiRow, by: &Principal, role: WorkspaceRole) -> bool {
    row.created_by == Some(by.user_id) || role.may(Permission::Configure)
}

fn view(seen: SeenEmoji, by: &Principal, role: WorkspaceRole) -> WorkspaceEmoji {
    let may_remove = may_remove(&seen.emoji, by, role);
    let SeenEmoji { emoji, author_name } = seen;
    WorkspaceEmoji {
        workspace_id: emoji.workspace_id,
        name: emoji.name,
        upload_id: emoji.upload_id,
        author: emoji.created_by.zip(author_name).map(|(id, name)| PromptAuthor { id, name }),
        may_remove,
        created_at: emoji.created_at,
    }
}

/// Notifies the members of the workspace, who then reload the emoji.
fn publish_change(service: &ConversationsService, workspace_id: WorkspaceId) {
    match Envelope::seal(&Event::EmojiChanged { workspace_id }, Topic::Workspace(workspace_id), service.clock.now()) {
        Ok(envelope) => drop(service.bus.publish(vec![BusMessage::Envelope(envelope.into())])),
        Err(error) => tracing::error!(%error, "failed to encode emoji event"),
    }
}
