//! Last line of a start in a terminal, and of a start without accounts. States the address, the data
//! folder, the administrator, and how to stop the server.

use std::{
    io::{self, IsTerminal as _},
    path,
};

use app::App;
use appcore::config::{Config, Role};
use dbcontext::query::users;

/// Logs that the server is ready, if the log goes to a terminal or if the first account is still to
/// be created. Other programs wait for the line `listening on …` instead.
pub async fn log(app: &App) {
    if app.config.server.role == Role::Worker {
        return;
    }
    let awaits_administrator = app.config.is_embedded() && users::is_empty(app.db.reader()).await.unwrap_or(false);
    if awaits_administrator || io::stdout().is_terminal() {
        tracing::info!("{}", sentence(&app.config, awaits_administrator));
    }
}

fn sentence(config: &Config, awaits_administrator: bool) -> String {
    let address = config.server.public_url();
    let data = if config.is_embedded() {
        let folder = &config.server.data_dir;
        path::absolute(folder).unwrap_or_else(|_| folder.clone()).display().to_string()
    } else {
        "the database of database.url".to_owned()
    };
    let administrator = if awaits_administrator { "the first account becomes the administrator; " } else { "" };
    format!("ready: open {address}; the data is in {data}; {administrator}Ctrl-C stops the server")
}
