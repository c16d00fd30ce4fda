//! Secrets of tool servers: HTTP headers, or environment variables of a program.

use std::collections::BTreeMap;

use appcore::{AppError, Secret, auth::seal::StoredSecret};
use dbcontext::query::mcp_servers::McpServerRow;
use serde::{Serialize, de::DeserializeOwned};

/// Stores secrets in a row, encrypted if a key is configured.
pub(super) fn set(
    row: &mut McpServerRow,
    secrets: &BTreeMap<String, String>,
    key: Option<&Secret>,
) -> Result<(), AppError> {
    row.secret_names = serde_json::to_string(&secrets.keys().collect::<Vec<_>>()).map_err(AppError::internal)?;
    if secrets.is_empty() {
        (row.secrets, row.is_sealed) = (None, false);
        return Ok(());
    }
    let (kept, is_sealed) = encode_secret(&StoredSecret::ToolServer(row.id), secrets, key)?;
    (row.secrets, row.is_sealed) = (Some(kept), is_sealed);
    Ok(())
}

/// Encodes a secret of `owner` for storage. The flag is true if it is encrypted.
pub(super) fn encode_secret(
    owner: &StoredSecret,
    secret: &impl Serialize,
    key: Option<&Secret>,
) -> Result<(Vec<u8>, bool), AppError> {
    let plain = serde_json::to_vec(secret).map_err(AppError::internal)?;
    let Some(key) = key else { return Ok((plain, false)) };
    Ok((owner.seal(key, &plain).map_err(AppError::internal)?, true))
}

/// Decodes a secret stored by [`encode_secret`].
pub(super) fn decode_secret<T: DeserializeOwned>(
    owner: &StoredSecret,
    (kept, is_sealed): (&[u8], bool),
    key: Option<&Secret>,
) -> Result<T, AppError> {
    let opened;
    let plain = match (is_sealed, key) {
        (false, _) => kept,
        (true, Some(key)) => {
            opened = owner.unseal(key, kept).map_err(AppError::internal)?;
            opened.as_slice()
        }
        (true, None) => return Err(AppError::internal(anyhow::anyhow!("auth.key_encryption_secret is missing"))),
    };
    serde_json::from_slice(plain).map_err(AppError::internal)
}

/// Returns the secrets that are stored in a row.
pub(super) fn open(row: &McpServerRow, key: Option<&Secret>) -> Result<BTreeMap<String, String>, AppError> {
    let Some(kept) = &row.secrets else { return Ok(BTreeMap::new()) };
    decode_secret(&StoredSecret::ToolServer(row.id), (kept.as_slice(), row.is_sealed), key)
}

/// Returns the names of the secrets that are stored in a row.
pub(super) fn names(row: &McpServerRow) -> Result<Vec<String>, AppError> {
    serde_json::from_str(&row.secret_names).map_err(AppError::internal)
}

#[cfg(test)]
pub(super) mod tests {
    use appcore::{
        McpServerId, Timestamp,
        view::{McpAuth, McpTransport, ToolVisibility},
    };

    use super::*;

    pub(in crate::tools) fn row() -> McpServerRow {
        McpServerRow {
            id: McpServerId::new(),
            name: "Docs".to_owned(),
            search_name: "docs".to_owned(),
            description: None,
            transport: McpTransport::Http,
            auth: McpAuth::Secrets,
            url: None,
            command: None,
            secrets: None,
            is_sealed: false,
            secret_names: "[]".to_owned(),
            is_enabled: true,
            offered_to: ToolVisibility::Admins,
            tools: "[]".to_owned(),
            prompts: "[]".to_owned(),
            modes: "{}".to_owned(),
            checked_at: None,
            error: None,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    #[test]
    fn secrets_are_encrypted_and_bound_to_their_server() {
        let (mut row, key) = (row(), Secret::new("k".repeat(32)));
        let secrets = BTreeMap::from([("Authorization".to_owned(), "Bearer top".to_owned())]);
        set(&mut row, &secrets, Some(&key)).unwrap();
        assert!(row.is_sealed && !String::from_utf8_lossy(row.secrets.as_ref().unwrap()).contains("top"));
        assert_eq!(open(&row, Some(&key)).unwrap(), secrets);
        assert_eq!(names(&row).unwrap(), ["Authorization"]);
        let other = McpServerRow { id: McpServerId::new(), ..row.clone() };
        assert!(open(&other, Some(&key)).is_err() && open(&row, None).is_err());
        set(&mut row, &BTreeMap::new(), Some(&key)).unwrap();
        assert!(row.secrets.is_none() && open(&row, None).unwrap().is_empty());
    }
}
