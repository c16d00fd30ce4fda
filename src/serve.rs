//! `natter serve`: from the configuration to the last connection's end.

use std::sync::Arc;

use appcore::config::Loaded;

use crate::{logging, server, state};

/// Serves until it is asked to stop. What is under way then is brought to an end first.
pub fn run(loaded: Loaded) -> anyhow::Result<()> {
    logging::start();
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
    actix::System::new().block_on(async {
        let app = state::build(loaded.config).await?;
        let workers = service::jobs::start_workers(Arc::clone(&app));
        server::run(Arc::clone(&app)).await?;
        workers.drain().await;
        tracing::info!("stopped");
        Ok(())
    })
}
