//! The business rules: one folder per domain. Requests (`endpoint`) and frames (`realtime`) are two doors to these functions.

pub mod answering;
pub mod app;
pub mod assistants;
pub mod boards;
pub mod broadcasts;
pub mod checks;
pub mod console;
pub mod conversations;
pub mod exports;
pub mod knowledge;
pub mod messages;
pub mod moderation;
pub mod notes;
pub mod offboarding;
pub mod program;
pub mod search;
#[cfg(test)]
mod tests;
pub mod tools;
pub mod workspaces;

pub use app::App;
