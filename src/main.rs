//! Natter: chat in real time for people and assistants, one program on one machine or on many.

mod app;
mod assets;
mod backup;
mod banned;
mod cli;
mod doctor;
mod embedded;
mod lock;
mod logging;
mod pieces;
mod probe;
#[cfg(feature = "profiling")]
mod profile;
mod program;
mod ready;
mod schema;
mod scrape;
mod serve;
mod server;
mod state;
mod tls;

use std::io::Write as _;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What the allocator is told before `main`: memory that was given back goes to the system after a second instead of ten. Under load those ten
/// seconds are half of what the program needs.
#[expect(unsafe_code, reason = "the allocator looks for this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
#[cfg(not(feature = "profiling"))]
pub static ALLOCATOR_SETTINGS: &[u8] = b"dirty_decay_ms:1000,muzzy_decay_ms:0\0";

/// What the allocator is told by a program that can say who allocates what, once it is asked to: of every 512 KiB one allocation.
#[expect(unsafe_code, reason = "the allocator looks for this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
#[cfg(feature = "profiling")]
pub static ALLOCATOR_SETTINGS: &[u8] =
    b"dirty_decay_ms:1000,muzzy_decay_ms:0,prof:true,prof_active:false,lg_prof_sample:19\0";

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
