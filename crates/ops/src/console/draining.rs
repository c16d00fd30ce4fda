//! Draining of this instance.

use appcore::{AppError, auth::Principal, view::DrainState};
use metrics::metrics;
use platform::audit::{self, Action, NewAuditEntry};

use crate::OpsService;

/// Starts or stops draining this instance. Recorded in the audit log, unless nothing changes.
pub async fn set_draining(service: &OpsService, by: &Principal, draining: bool) -> Result<DrainState, AppError> {
    if service.is_draining.send_replace(draining) != draining {
        let action = if draining { Action::InstanceDrained } else { Action::InstanceResumed };
        let entry = NewAuditEntry::by_principal(by, action, Some(service.instance_id.to_string()));
        audit::record(service.db.writer(), entry).await?;
    }
    Ok(DrainState { instance_id: service.instance_id, draining, connections: metrics().realtime.open_connections() })
}
