//! `natter serve`: from the configuration to the last connection's end.

use std::{sync::Arc, time::Duration};

use appcore::{InstanceId, config::Loaded};

use crate::{backup, lock, logging, program::Program, server, state};

/// How long the database may take to close.
const CLOSING: Duration = Duration::from_secs(5);

/// Serves until it is asked to stop. What is under way then is brought to an end first.
pub fn run(loaded: Loaded) -> anyhow::Result<()> {
    let _log = logging::start()?;
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
    let instance = InstanceId::new();
    // After the log, which tells what can't be sent; its end waits for the last spans.
    let _collector = telemetry::start(env!("CARGO_PKG_VERSION"), &instance.to_string())?;
    actix::System::new().block_on(async {
        let backups = backup::Schedule::of(&loaded.config)?;
        // Until the very end.
        let _lock = lock::take(&loaded.config)?;
        let app = state::build(loaded.config, instance).await?;
        // It was put together just now, by nobody else.
        let _ = app.ops.program.set(Box::new(Program { notes: loaded.notes }));
        if let Some(backups) = backups {
            tokio::spawn(backups.run());
        }
        let workers = app.start_workers();
        server::run(Arc::clone(&app), workers).await?;
        if tokio::time::timeout(CLOSING, app.gateway.end()).await.is_err() {
            let (waiting, _) = app.gateway.backlog();
            tracing::error!(waiting, "not everything could be recorded that was asked of AI providers");
        }
        app.shutdown_tasks.close();
        if tokio::time::timeout(CLOSING, app.shutdown_tasks.wait()).await.is_err() {
            tracing::warn!("this instance could not be removed from the list of instances");
        }
        // Last of all: until here somebody may have had something to write. SQLite takes its log into its file with that; nobody waits for it for long.
        if tokio::time::timeout(CLOSING, app.db.clone().close()).await.is_err() {
            tracing::warn!("the database was still in use");
        }
        tracing::info!("stopped");
        Ok(())
    })
}
