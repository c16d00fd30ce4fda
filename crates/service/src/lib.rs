//! The business rules: one folder per domain. Requests (`endpoint`) and frames (`realtime`) are two doors to these functions.

pub mod accounts;
pub mod app;
pub mod assistants;
mod attempts;
pub mod audit;
mod batcher;
pub mod conversations;
pub mod entitlements;
pub mod events;
pub mod firewall;
pub mod gateway;
pub mod jobs;
pub mod ledger;
pub mod limits;
pub mod mail;
pub mod messages;
pub mod payments;
pub mod places;
pub mod presence;
pub mod receipts;
mod recent;
pub mod redis;
pub mod tools;
pub mod typing;
pub mod uploads;
pub mod workspaces;

pub use app::App;
