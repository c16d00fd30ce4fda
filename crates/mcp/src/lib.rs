//! Client of the Model Context Protocol: lists and calls the tools of MCP servers.
//!
//! A server is a local program that speaks over its standard streams, or an HTTP address. Either
//! may be slow, broken or hostile: everything it sends is limited in time and size here, and must
//! be treated as untrusted data. Permission to call a server is checked by the callers.

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

/// Address of a server.
pub enum Server {
    /// A local program.
    Program(Program),
    /// An HTTP address. The client enforces its own network restrictions.
    Address { url: String, headers: HashMap<HeaderName, HeaderValue>, http: reqwest::Client },
}

/// A program, run with a minimal environment.
#[derive(Clone, Debug)]
pub struct Program {
    /// Program path and arguments.
    pub command: Vec<String>,
    pub environment: Vec<(String, Secret)>,
}

/// Limits of a connection.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Timeout of connecting and initialising the session.
    pub connect: Duration,
    /// Timeout of a call.
    pub call: Duration,
    /// Maximum size of a message from the server, in bytes.
    pub message: usize,
    /// Maximum size of a result's text, in bytes; the rest is truncated.
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
