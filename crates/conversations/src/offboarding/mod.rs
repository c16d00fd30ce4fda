//! Offboarding: data export and account deletion, by the user or by an administrator.

mod by_admin;
mod deletion;
mod export;

pub use self::{
    by_admin::{delete, export_of},
    deletion::delete_me,
    export::export,
};
pub use deletion::AccountCleanupJob;
