//! MCP servers added by administrators.

use appcore::{
    McpServerId, Timestamp,
    view::{McpAuth, McpTransport, ToolVisibility},
};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mcp_servers")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: McpServerId,
    pub name: String,
    pub search_name: String,
    pub description: Option<String>,
    pub transport: McpTransport,
    pub url: Option<String>,
    pub command: Option<String>,
    /// Headers or environment as JSON, sealed if a secret is configured.
    pub secrets: Option<Vec<u8>>,
    pub is_sealed: bool,
    pub secret_names: String,
    pub is_enabled: bool,
    pub offered_to: ToolVisibility,
    /// Tools reported by the server as JSON.
    pub tools: String,
    /// Permission mode per tool as JSON.
    pub modes: String,
    pub checked_at: Option<Timestamp>,
    pub error: Option<String>,
    pub prompts: String,
    pub auth: McpAuth,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
