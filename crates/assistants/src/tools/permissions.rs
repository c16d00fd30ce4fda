//! Permanent permissions for tool calls, each for a user, an assistant, and a tool with its current
//! definition. If the server changes the description of a tool, calls need confirmation again.

use appcore::{
    AppError, AssistantId, Code, ToolPermissionId, UserId,
    auth::Principal,
    page::{Page, PageRequest},
    view::{ToolMode, ToolPermission},
};
use aws_lc_rs::digest::{SHA256, digest as sha256_hex};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use dbcontext::query::tool_permissions::{self as rows, PermittedTool};
use mcp::Tool;

use super::{Offer, offer::OfferedFunction};
use crate::AssistantsService;

/// Permissions of a user for an assistant.
pub(super) struct Permissions(Vec<PermittedTool>);

impl Permissions {
    /// Loads the permissions, unless no tool needs confirmation.
    pub async fn load(
        service: &AssistantsService,
        offer: &Offer,
        user: UserId,
        assistant: AssistantId,
    ) -> Result<Self, AppError> {
        let is_asked = offer.modes().any(|mode| mode == ToolMode::Ask);
        let permitted = if is_asked { rows::granted(service.db.reader(), user, assistant).await? } else { Vec::new() };
        Ok(Self(permitted))
    }

    /// True if a call needs confirmation.
    pub fn needs_confirmation(&self, offered: &OfferedFunction) -> bool {
        let is_permitted = |permitted: &PermittedTool| {
            permitted.server_id == offered.server.id
                && permitted.tool == offered.tool.name
                && permitted.digest == digest(&offered.tool)
        };
        offered.mode == ToolMode::Ask && !self.0.iter().any(is_permitted)
    }
}

/// Returns a digest of a tool's definition.
pub(super) fn digest(tool: &Tool) -> String {
    let mut told = serde_json::json!([tool.name, tool.title, tool.description, tool.schema]);
    // Keys are sorted, because their order in a schema may vary.
    told.sort_all_objects();
    STANDARD.encode(sha256_hex(&SHA256, told.to_string().as_bytes()))
}

/// Permissions granted by the caller.
pub async fn list(
    service: &AssistantsService,
    by: &Principal,
    assistant: Option<AssistantId>,
    page: PageRequest,
) -> Result<Page<ToolPermission>, AppError> {
    let (items, total) = rows::list(service.db.reader(), by.user_id, assistant, page).await?;
    Ok(Page::new(items, page, total))
}

/// Revokes a permission; the next call needs confirmation again.
pub async fn revoke(service: &AssistantsService, by: &Principal, id: ToolPermissionId) -> Result<(), AppError> {
    if rows::remove(service.db.writer(), by.user_id, id).await? { Ok(()) } else { Err(Code::NotFound.into()) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use appcore::McpServerId;

    use super::*;

    #[test]
    fn changed_tool_needs_confirmation_again() {
        let tool = Tool {
            name: "pay".to_owned(),
            title: None,
            description: Some("Pays.".to_owned()),
            schema: serde_json::json!({ "type": "object" }),
            is_read_only: false,
            is_idempotent: false,
        };
        let server = Arc::new(super::super::secrets::tests::row());
        let offered =
            |tool: &Tool| OfferedFunction { server: Arc::clone(&server), tool: tool.clone(), mode: ToolMode::Ask };
        let permitted =
            |server_id: McpServerId| PermittedTool { server_id, tool: tool.name.clone(), digest: digest(&tool) };
        let permissions = Permissions(vec![permitted(server.id)]);
        assert!(!permissions.needs_confirmation(&offered(&tool)));
        let schema = |text: &str| Tool { schema: serde_json::from_str(text).unwrap(), ..tool.clone() };
        let (one, other) = (r#"{"type":"object","required":["a"]}"#, r#"{"required":["a"],"type":"object"}"#);
        assert_eq!(digest(&schema(one)), digest(&schema(other)), "key order is ignored");
        let changed = Tool { description: Some("Pays twice.".to_owned()), ..tool.clone() };
        assert!(permissions.needs_confirmation(&offered(&changed)));
        assert!(
            Permissions(vec![permitted(McpServerId::new())]).needs_confirmation(&offered(&tool)),
            "permission is per server"
        );
        let auto = OfferedFunction { mode: ToolMode::Auto, ..offered(&changed) };
        assert!(!permissions.needs_confirmation(&auto));
    }
}
