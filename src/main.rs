//! Natter: chat in real time for people and assistants, one program on one machine or on many.

mod app;
mod assets;
mod banned;
mod cli;
mod logging;
mod pieces;
mod schema;
mod serve;
mod server;
mod state;

use std::io::Write as _;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Two cryptography libraries could be linked by some dependency of a dependency; this is the one that is used.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("a provider of cryptography was chosen before");
    }
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line: causes after the sentence, as `{:#}` writes them.
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}
