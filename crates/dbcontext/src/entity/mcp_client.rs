//! OAuth registration at an MCP server's authorization server.

use appcore::{McpServerId, Timestamp};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mcp_clients")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub server_id: McpServerId,
    /// Issuer that registered the client; `None` if an administrator registered it.
    pub issuer: Option<String>,
    pub redirect_uri: Option<String>,
    pub client_id: String,
    pub secret: Option<Vec<u8>>,
    pub is_sealed: bool,
    /// Expiry of the client secret.
    pub expires_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
