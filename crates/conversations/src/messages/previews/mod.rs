//! Link previews: title, description and image of linked pages. A job fetches the pages after the
//! message is sent and publishes the previews as `message.previews`. Its HTTP client is protected
//! against SSRF.

use std::time::Duration;

use appcore::{
    AppError, Code, MessageId, UploadId, UserId, WorkspaceId,
    auth::{Permission, Principal},
    view::{Message, Preview, SenderKind},
};
use dbcontext::{constraint::app_error, query};
use event_log::{
    access,
    events::{MemberAction, Outcome, PreviewJob, ServerAction, SetPreviews},
};
use files::uploads;
use futures_util::future::join_all;
use identity::membership;
use jobs::{Job, JobContext, JobOutcome};
use outgoing::{FetchLimits, FetchedResponse};
use platform::{
    audit::{self, Action, NewAuditEntry},
    urls,
    work_pools::{WorkOwner, job_owner},
};
use url::Url;

use crate::ConversationsService;

/// Concurrent preview jobs per instance.
const MAX_CONCURRENT: usize = 8;
/// Limits for fetching a page. Longer pages are truncated, because the metadata is in the head.
const PAGE_LIMITS: FetchLimits =
    FetchLimits { max_bytes: 512 * 1024, timeout: Duration::from_secs(5), redirects: 8, truncates: true };
const IMAGE_LIMITS: FetchLimits =
    FetchLimits { max_bytes: 4 * 1024 * 1024, timeout: Duration::from_secs(5), redirects: 8, truncates: false };
/// Maximum length of a previewed URL, in bytes.
const MAX_URL_LEN: usize = 2_000;

impl Job<ConversationsService> for PreviewJob {
    fn max_concurrent(_config: &appcore::config::Config) -> usize {
        MAX_CONCURRENT
    }

    async fn run(self, work: JobContext<'_, ConversationsService>) -> Result<JobOutcome, AppError> {
        tokio::select! {
            read = set_previews(work.state, self, job_owner(work.claim)) => match read {
                // The message was deleted meanwhile.
                Err(error) if error.code() == Code::NotFound => Ok(JobOutcome::Done),
                read => read.map(|()| JobOutcome::Done),
            },
            _ = work.lease.keep_alive(&work.state.db) => Ok(JobOutcome::Lost),
            () = work.draining.cancelled() => Ok(JobOutcome::Requeued),
        }
    }
}

async fn set_previews(service: &ConversationsService, job: PreviewJob, owner: WorkOwner) -> Result<(), AppError> {
    let Some(message) = query::messages::get(service.db.reader(), job.message_id).await? else { return Ok(()) };
    let message = Message::try_from(message)?;
    if message.deleted_at.is_some() {
        return uploads::remove_previews(&service.files, job.message_id).await;
    }
    if message.hidden_at.is_some() {
        return Ok(());
    }
    let is_wanted = match message.sender {
        ref sender if sender.kind != SenderKind::User => false,
        ref sender => match sender.id {
            Some(author) => {
                query::previews::are_enabled_in(service.db.reader(), UserId(author), job.conversation_id).await?
            }
            None => false,
        },
    };
    let server = &service.config.server;
    let own = server.public_url.as_ref().map(Url::origin);
    let is_below = |url: &Url| {
        url.path().strip_prefix(server.base_path()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let is_own = |url: &Url| Some(url.origin()) == own && is_below(url);
    let links = urls::extract_links(&message.content).into_iter().filter(|url| !is_own(url));
    let links: Vec<Url> = if is_wanted { links.collect() } else { Vec::new() };
    let found = join_all(links.into_iter().map(|url| fetch_preview(service, url, owner))).await;
    let previews: Vec<Preview> = found.into_iter().flatten().collect();
    if previews.is_empty() && message.previews.is_empty() {
        // Preview images for an earlier text of the message may still be stored.
        return uploads::remove_previews(&service.files, job.message_id).await;
    }
    let PreviewJob { conversation_id, message_id } = job;
    let set = ServerAction::SetPreviews(SetPreviews { message_id, edited_at: message.edited_at, previews });
    service.events.writer.submit(set.on_conversation(conversation_id)).await.map(drop)
}

/// Fetches the preview of a URL; `None` if the page is unreachable or has no metadata.
async fn fetch_preview(service: &ConversationsService, url: Url, owner: WorkOwner) -> Option<Preview> {
    let fetched =
        service.outgoing.get(url.clone(), PAGE_LIMITS).await.ok().filter(|fetched| fetched.status.is_success())?;
    let media_type = media_type(&fetched)?;
    let address = url.as_str();
    let shown = Preview {
        url: address.to_owned(),
        title: None,
        description: None,
        image_upload_id: None,
        site: url.host_str().map(|host| host.trim_start_matches("www.").to_owned()),
    };
    if !matches!(media_type.as_str(), "text/html" | "application/xhtml+xml") || address.len() > MAX_URL_LEN {
        return None;
    }
    let base = fetched.url.clone();
    let content_type = content_type(&fetched)?.to_owned();
    // The slot is acquired after the request, so that it isn't held while waiting for another site.
    let slot = service.work.parsing.acquire_for_job(owner).await;
    let read = uploads::text::page(fetched.body, &content_type, &slot).await;
    drop(slot);
    let page = match read {
        Ok(page) => page?,
        Err(error) => {
            tracing::warn!(%error, "failed to parse page for preview");
            return None;
        }
    };
    let title = page.title?;
    let image = page.image.and_then(|image| base.join(&image).ok());
    let image_upload_id = match image {
        Some(image) => fetch_image(service, image, owner).await,
        None => None,
    };
    let site = page.site.or(shown.site.clone());
    Some(Preview { title: Some(title), description: page.description, site, image_upload_id, ..shown })
}

/// Downloads a page's image and stores a thumbnail of it. Returns `None` on failure.
async fn fetch_image(service: &ConversationsService, url: Url, owner: WorkOwner) -> Option<UploadId> {
    let fetched = service.outgoing.get(url, IMAGE_LIMITS).await.ok().filter(|fetched| fetched.status.is_success())?;
    if !uploads::has_thumbnails(&media_type(&fetched)?) {
        return None;
    }
    let small = uploads::downscale_for_model(&service.files, owner, fetched.body.to_vec()).await?;
    match uploads::store_preview(&service.files, owner, small).await {
        Ok(id) => Some(id),
        Err(error) => {
            tracing::warn!(%error, "failed to store preview image");
            None
        }
    }
}

fn media_type(fetched: &FetchedResponse) -> Option<String> {
    let value = content_type(fetched)?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}

fn content_type(fetched: &FetchedResponse) -> Option<&str> {
    fetched.headers.get("content-type")?.to_str().ok()
}

/// Removes the previews of one of the caller's messages for everybody.
pub async fn remove(service: &ConversationsService, by: &Principal, id: MessageId) -> Result<(), AppError> {
    let conversation_id = super::find(service, by, id).await?.conversation_id;
    let remove = MemberAction::RemovePreviews { message_id: id };
    let removed = service.events.writer.submit(remove.by_member(by.user_id, conversation_id)).await;
    access::explain_not_found(&service.events, by.user_id, conversation_id, removed).await.map(|_: Outcome| ())
}

/// True if links in the caller's messages are previewed.
pub async fn is_enabled(service: &ConversationsService, by: &Principal) -> Result<bool, AppError> {
    query::previews::is_enabled(service.db.reader(), by.user_id.0).await
}

/// Turns previews of links in the caller's messages on or off.
pub async fn set_enabled(service: &ConversationsService, by: &Principal, is_on: bool) -> Result<(), AppError> {
    query::previews::set_enabled(service.db.writer(), by.user_id.0, is_on).await
}

/// True if links are previewed in the workspace.
pub async fn is_enabled_in_workspace(
    service: &ConversationsService,
    by: &Principal,
    id: WorkspaceId,
) -> Result<bool, AppError> {
    membership::resolve(&service.identity, by, Some(id), Permission::View).await?;
    query::previews::is_enabled(service.db.reader(), id.0).await
}

/// Turns link previews of a workspace on or off.
pub async fn set_enabled_in_workspace(
    service: &ConversationsService,
    by: &Principal,
    id: WorkspaceId,
    is_on: bool,
) -> Result<(), AppError> {
    membership::resolve(&service.identity, by, Some(id), Permission::Configure).await?;
    let tx = service.db.begin().await.map_err(app_error)?;
    query::previews::set_enabled(&tx, id.0, is_on).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::WorkspaceChanged, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)
}
