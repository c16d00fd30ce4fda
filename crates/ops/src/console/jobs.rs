//! Job queue for administrators: waiting and running jobs, and dead letters.

use appcore::{
    AppError, Code, JobId,
    auth::Principal,
    page::{Page, PageRequest},
    view::{Job, JobKind, JobStatus},
};
use dbcontext::{
    constraint::app_error,
    query::job_list::{self, KindStats},
};
use identity::accounts::Confirmed;
use platform::audit::{self, Action, NewAuditEntry};

use crate::OpsService;

/// Maximum length of the kind to filter by, in bytes.
const MAX_KIND: usize = 40;

/// Lists jobs, newest first.
pub async fn list(
    service: &OpsService,
    status: Option<JobStatus>,
    kind: Option<&str>,
    page: PageRequest,
) -> Result<Page<Job>, AppError> {
    let (items, total) = job_list::list(service.db.reader(), status, checked(kind)?, page).await?;
    Ok(Page::new(items, page, total))
}

/// Lists the kinds that have jobs, by name.
pub async fn kinds(service: &OpsService) -> Result<Vec<JobKind>, AppError> {
    let mut kinds = job_list::stats_by_kind(service.db.reader()).await?;
    kinds.sort_by(|one, other| one.kind.cmp(&other.kind));
    let view = |KindStats { kind, due, running, dead, .. }: KindStats| JobKind { kind, due, running, dead };
    Ok(kinds.into_iter().map(view).collect())
}

/// Requeues a dead letter. It gets the full number of attempts again.
pub async fn requeue(service: &OpsService, by: &Principal, id: JobId) -> Result<Job, AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    let is_requeued = job_list::requeue(&tx, Some(id), None).await? > 0;
    let job = job_list::find(&tx, id).await?.ok_or(Code::NotFound)?;
    if !is_requeued {
        return Err(AppError::refused(Code::WrongState, "Only dead letters can be requeued."));
    }
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::JobRequeued, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    Ok(job)
}

/// Requeues the dead letters of a kind, or all. Returns their number.
pub async fn requeue_all(service: &OpsService, by: &Principal, kind: Option<&str>) -> Result<u64, AppError> {
    let kind = checked(kind)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    let requeued = job_list::requeue(&tx, None, kind).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::JobRequeued, Some(kind.unwrap_or("*").to_owned())))
        .await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    Ok(requeued)
}

/// Deletes a dead letter.
pub async fn delete(service: &OpsService, by: &Confirmed, id: JobId) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    if !job_list::delete(&tx, id).await? {
        job_list::find(&tx, id).await?.ok_or(Code::NotFound)?;
        return Err(AppError::refused(Code::WrongState, "Only dead letters can be deleted."));
    }
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::JobDeleted, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)
}

/// Deletes the dead letters of a kind, or all. Returns their number.
pub async fn delete_all(service: &OpsService, by: &Confirmed, kind: Option<&str>) -> Result<u64, AppError> {
    let kind = checked(kind)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    let deleted = job_list::delete_all(&tx, kind).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::JobDeleted, Some(kind.unwrap_or("*").to_owned())))
        .await?;
    tx.commit().await.map_err(app_error)?;
    Ok(deleted)
}

fn checked(kind: Option<&str>) -> Result<Option<&str>, AppError> {
    let kind = kind.map(str::trim).filter(|kind| !kind.is_empty());
    if kind.is_some_and(|kind| kind.len() > MAX_KIND || kind.contains('\0')) {
        return Err(AppError::field("kind", "invalid", "This value isn't valid."));
    }
    Ok(kind)
}
