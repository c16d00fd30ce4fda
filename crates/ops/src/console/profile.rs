//! What the program is doing, for whoever wants to know why it is slow or large.

use std::{sync::Arc, time::Duration};

use appcore::{AppError, Code, auth::Principal, view::ProfileKind};
use platform::audit::{self, Action, NewAuditEntry};

use crate::OpsService;

/// Looks for so long at the instance that answers. One at a time, and none where the program was built without.
pub async fn profile(
    service: &OpsService,
    by: &Principal,
    kind: ProfileKind,
    time: Duration,
) -> Result<Vec<u8>, AppError> {
    let taking = service.program.get().and_then(|program| program.profile(kind, time));
    let taking = taking.ok_or_else(|| {
        AppError::refused(
            Code::NotFound,
            "This server was built without the feature profiling. Build it with that, then try again.",
        )
    })?;
    let Ok(only) = Arc::clone(&service.profiling).try_lock_owned() else {
        return Err(AppError::refused(Code::WrongState, "Another profile is being taken. Wait until it is there."));
    };
    audit::record(service.db.writer(), NewAuditEntry::by(by, Action::Profiled, Some(kind.as_str().to_owned()))).await?;
    // To its end, also where nobody waits for it any more: what was switched on is to be switched off.
    let taken = tokio::spawn(async move {
        let profile = taking.await;
        drop(only);
        profile
    });
    taken.await.map_err(AppError::internal)?.map_err(AppError::internal)
}
