//! Natter: real-time chat for people and AI assistants, on one machine or many.

mod alive;
mod app;
mod assets;
mod backup;
mod ban_page;
mod chunked_body;
mod cli;
mod data_dir_lock;
mod doctor;
mod embedded;
mod keys;
mod logging;
mod probe;
#[cfg(feature = "profiling")]
mod profile;
mod program;
mod progress;
mod prometheus;
mod ready;
mod schema;
mod serve;
mod server;
mod state;
mod tls;
mod transfer;

use std::io::Write as _;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Options for jemalloc: it returns freed memory to the system after one second instead of ten.
/// Under load, the memory freed within ten seconds is half of the program's memory.
#[expect(unsafe_code, reason = "the allocator looks for this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
#[cfg(not(feature = "profiling"))]
pub static ALLOCATOR_SETTINGS: &[u8] = b"dirty_decay_ms:1000,muzzy_decay_ms:0\0";

/// Options for jemalloc in a program with heap profiling, which is activated on request. One
/// allocation per 512 KiB is sampled.
#[expect(unsafe_code, reason = "the allocator looks for this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
#[cfg(feature = "profiling")]
pub static ALLOCATOR_SETTINGS: &[u8] =
    b"dirty_decay_ms:1000,muzzy_decay_ms:0,prof:true,prof_active:false,lg_prof_sample:19\0";

fn main() -> ExitCode {
    // Selects the cryptography library to use, because dependencies may link two of them.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("cryptography provider already installed");
    }
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Prints a single line, in which the causes follow the message, as `{:#}` formats them.
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}
