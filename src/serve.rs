//! `natter serve`: runs the server, from loading the configuration to closing the last connection.

use std::{net::TcpListener, sync::Arc, time::Duration};

use app::App;
use appcore::{InstanceId, config::LoadedConfig};
use ops::checks::local;
use tokio::signal::unix::{SignalKind, signal};

use crate::{backup, data_dir_lock, logging, program::Program, server, state};

/// Maximum time for closing the database.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the server until a signal stops it, then finishes the work in progress.
pub fn run(loaded: LoadedConfig) -> anyhow::Result<()> {
    let _log = logging::start()?;
    for note in &loaded.warnings {
        tracing::warn!("{note}");
    }
    let instance = InstanceId::new();
    // Started after the log, because export errors are logged. Dropping it waits until the last
    // spans are sent.
    let _collector = telemetry::start(env!("CARGO_PKG_VERSION"), &instance.to_string())?;
    actix::System::new().block_on(async {
        // The handler replaces the default action, which ends the process without finishing requests
        // when a terminal closes or a log rotation sends the signal.
        let _ignored = signal(SignalKind::hangup())?;
        let backups = backup::Schedule::of(&loaded.config)?;
        let listen = async |app: &App| {
            if let (Some(schedule), Some(monitor)) = (backups, app.ops.backups.clone()) {
                tokio::spawn(schedule.run(monitor));
            }
            Ok((server::listen_as_configured(&app.config.server)?, server::stop_signal()?))
        };
        serve(loaded, instance, listen).await
    })
}

/// Runs an instance of the server. After its services have started, `listen` returns the socket
/// that it serves, and the future that stops it.
pub async fn serve<S: Future<Output = ()>>(
    loaded: LoadedConfig,
    instance: InstanceId,
    listen: impl AsyncFnOnce(&App) -> anyhow::Result<(TcpListener, S)>,
) -> anyhow::Result<()> {
    // The lock is held until the server ends.
    let _lock = data_dir_lock::acquire(&loaded.config)?;
    if let Some(check) = local::network_database(&loaded.config) {
        tracing::warn!("{}", check.says);
    }
    let app = state::build(loaded.config, instance).await?;
    // The value can't be set already, because the app was just built.
    let _ = app.ops.program.set(Box::new(Program { notes: loaded.warnings }));
    let workers = app.start_workers();
    let (listener, stopped) = listen(&app).await?;
    server::run(Arc::clone(&app), workers, listener, stopped).await?;
    if tokio::time::timeout(CLOSE_TIMEOUT, app.gateway.shut_down()).await.is_err() {
        let (waiting, _) = app.gateway.backlog();
        tracing::error!(waiting, "failed to record AI usage before the timeout");
    }
    app.shutdown_tasks.close();
    if tokio::time::timeout(CLOSE_TIMEOUT, app.shutdown_tasks.wait()).await.is_err() {
        tracing::warn!("failed to remove this instance from the list of instances");
    }
    // The database is closed last, after all writes. SQLite checkpoints its write-ahead log at this
    // point, hence the timeout.
    if tokio::time::timeout(CLOSE_TIMEOUT, app.db.clone().close()).await.is_err() {
        tracing::warn!("failed to close the database: still in use");
    }
    tracing::info!("stopped");
    Ok(())
}
