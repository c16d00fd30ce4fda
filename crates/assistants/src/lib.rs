//! Assistants: their definitions, knowledge files, tools and answers.
//!
//! Owns the rows of assistants, prompts, knowledge files and tool servers; answers are written
//! through the event log. Uses `gateway` for models, `message-search` for messages that a user may
//! read, and `files` for documents. The crate `conversations` requests answers from it.

pub mod answering;
pub mod definitions;
pub mod knowledge;
#[cfg(test)]
mod tests;
pub mod tools;

use std::{ops::Deref, sync::Arc};

use billing::BillingService;
use event_log::EventLogService;
use files::FilesService;
use gateway::GatewayService;
use identity::IdentityService;
use message_search::SearchService;
use platform::Core;

use crate::{answering::Answering, tools::Connections};

/// State of assistants of an instance. Dereferences to [`Core`].
pub struct AssistantsService {
    pub core: Arc<Core>,
    pub identity: Arc<IdentityService>,
    pub events: Arc<EventLogService>,
    pub billing: Arc<BillingService>,
    pub files: Arc<FilesService>,
    pub gateway: Arc<GatewayService>,
    pub search: Arc<SearchService>,
    pub answering: Answering,
    /// Connections to tool servers.
    pub(crate) tools: Arc<Connections>,
}

impl AssistantsService {
    pub fn build(search: Arc<SearchService>) -> Arc<Self> {
        Arc::new(Self {
            core: Arc::clone(&search.core),
            identity: Arc::clone(&search.identity),
            events: Arc::clone(&search.events),
            billing: Arc::clone(&search.gateway.billing),
            files: Arc::clone(&search.files),
            gateway: Arc::clone(&search.gateway),
            answering: Answering::default(),
            tools: Connections::build(&search.config.mcp),
            search,
        })
    }

    /// Starts the task that embeds knowledge files again after a change of the embedding model.
    /// Only instances with workers need it.
    pub fn start(self: &Arc<Self>) {
        tokio::spawn(knowledge::follow_embedding_model(Arc::downgrade(self)));
    }
}

impl Deref for AssistantsService {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}
