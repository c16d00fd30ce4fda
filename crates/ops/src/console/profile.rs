//! CPU and heap profiles.

use std::{sync::Arc, time::Duration};

use appcore::{AppError, Code, auth::Principal, view::ProfileKind};
use platform::audit::{self, Action, NewAuditEntry};

use crate::OpsService;

/// Profiles the instance that receives the request, for `time`. Returns `WrongState` while another
/// profile is being taken, and `NotFound` if the program was built without profiling.
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
            "This server was built without the feature profiling. Build it with this feature, then try again.",
        )
    })?;
    let Ok(only) = Arc::clone(&service.profiling).try_lock_owned() else {
        return Err(AppError::refused(
            Code::WrongState,
            "Another profile is being recorded. Wait until it is finished.",
        ));
    };
    audit::record(
        service.db.writer(),
        NewAuditEntry::by_principal(by, Action::Profiled, Some(kind.as_str().to_owned())),
    )
    .await?;
    // The task runs to its end even if the caller disconnects, because it has to switch profiling
    // off again.
    let taken = tokio::spawn(async move {
        let profile = taking.await;
        drop(only);
        profile
    });
    taken.await.map_err(AppError::internal)?.map_err(AppError::internal)
}
