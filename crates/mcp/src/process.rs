//! Local program that serves MCP over its standard streams.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{McpError, Program, error::quoted};

/// Environment variables that a program inherits.
const INHERITED: [&str; 6] = ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ"];
/// Maximum size of a program's standard error that is logged, in bytes.
const MAX_LOGGED_STDERR: usize = 4 * 1024;

/// A running program. Dropping it kills the program and its descendants.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts a program; returns its input and output streams.
    pub fn start(program: &Program) -> Result<(Self, ChildStdin, ChildStdout), McpError> {
        let failed = |error: std::io::Error| McpError::StartFailed(quoted(&error.to_string()));
        let Some((path, arguments)) = program.command.split_first() else {
            return Err(McpError::StartFailed("it has no name".to_owned()));
        };
        let mut command = Command::new(path);
        command.args(arguments).env_clear();
        for name in INHERITED {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.envs(program.environment.iter().map(|(name, value)| (name, value.expose())));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // The program gets a process group of its own, so that the processes started by launchers
        // such as npx are killed too.
        command.process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(McpError::StartFailed("it has no standard streams".to_owned()));
        };
        if let Some(told) = child.stderr.take() {
            tokio::spawn(log_stderr(path.clone(), told));
        }
        Ok((Self { child }, input, output))
    }
}

/// Logs the beginning of a program's standard error, and drains the rest so that the program
/// doesn't block.
async fn log_stderr(program: String, mut told: impl AsyncRead + Unpin) {
    let (mut piece, mut kept) = ([0; 1024], Vec::new());
    while let Ok(read @ 1..) = told.read(&mut piece).await {
        let room = MAX_LOGGED_STDERR.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(&piece[..room]);
    }
    if !kept.is_empty() {
        tracing::info!(program, said = %String::from_utf8_lossy(&kept).trim(), "tool program exited");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(group) = group {
            // An error is ignored, because the program may have exited already.
            _ = kill_process_group(group, Signal::KILL);
        }
    }
}
