//! Servers of tools, by the Model Context Protocol: what they offer, and calls of it.
//!
//! A server is a program on this machine that speaks over its standard streams, or an address that speaks HTTP. Either may be slow, broken or
//! hostile: everything that comes from it is bounded in time and in bytes here, and is data to whoever gets it. Which server may be asked for
//! what, and by whom, is decided elsewhere.

mod client;
mod error;
mod process;
mod prompts;
mod resources;
mod tool;

use std::{collections::HashMap, time::Duration};

use appcore::Secret;

pub use client::Client;
pub use error::McpError;
pub use prompts::{Prompt, PromptArgument};
pub use reqwest::header::{HeaderName, HeaderValue};
pub use tool::{CallResult, Tool};

/// How a server is reached.
pub enum Server {
    /// A program of this machine.
    Program(Program),
    /// An address, asked with a client that has its own rules about where it goes.
    Address { url: String, headers: HashMap<HeaderName, HeaderValue>, http: reqwest::Client },
}

/// A program to be run, with nothing of our environment but what programs need to run at all.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program, then its arguments.
    pub command: Vec<String>,
    pub environment: Vec<(String, Secret)>,
}

/// What a server may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Until the connection is made and the server has introduced itself.
    pub connect: Duration,
    /// Until a call has its result.
    pub call: Duration,
    /// The longest message of a server, in bytes.
    pub message: usize,
    /// The longest text of a result that is passed on, in bytes; the rest of it is left out.
    pub result: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            call: Duration::from_secs(60),
            message: 4 * 1024 * 1024,
            result: 32 * 1024,
        }
    }
}
