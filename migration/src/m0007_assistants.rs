//! Assistants, their prompts, tools and knowledge.

use sea_orm::DatabaseBackend;

use crate::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, binary, binary_null, blob, boolean, cascading_reference, integer, integer_null,
        string, string_null, text, text_null, uuid, uuid_null,
    },
};

pub struct Migration;

/// Id of the default assistant, which answers in conversations of `kind: "assistant"` without an
/// `assistant_id`. The crate `dbcontext` has the same id.
const DEFAULT_ID: uuid::Uuid = uuid::uuid!("01900000-0000-7000-8000-00000000a551");

/// Storage without compression, because embeddings and hashes can't be compressed.
const POSTGRES_STORAGE: &[&str] = &[
    "ALTER TABLE knowledge_vectors ALTER COLUMN vectors SET STORAGE EXTERNAL",
    "ALTER TABLE knowledge_words ALTER COLUMN words SET STORAGE EXTERNAL",
];

const INDEXES: &[&str] = &[
    "CREATE INDEX assistants_mentioned ON assistants (workspace_id, search_name) WHERE NOT is_deleted",
    "CREATE UNIQUE INDEX assistants_name ON assistants (workspace_id, search_name) WHERE NOT is_deleted AND visibility = 'workspace'",
    "CREATE UNIQUE INDEX assistants_own_name ON assistants (created_by, workspace_id, search_name) WHERE NOT is_deleted AND visibility = 'private'",
    "CREATE INDEX assistants_creator ON assistants (created_by)",
    "CREATE UNIQUE INDEX prompts_shared ON prompts (workspace_id, command) WHERE visibility = 'workspace'",
    "CREATE UNIQUE INDEX prompts_own ON prompts (created_by, workspace_id, command) WHERE visibility = 'private'",
    "CREATE INDEX prompts_creator ON prompts (created_by)",
    "CREATE UNIQUE INDEX mcp_servers_name ON mcp_servers (search_name)",
    "CREATE INDEX mcp_connections_server ON mcp_connections (server_id)",
    "CREATE INDEX tool_calls_message ON tool_calls (message_id, version)",
    "CREATE UNIQUE INDEX tool_permissions_tool ON tool_permissions (user_id, assistant_id, server_id, tool)",
    "CREATE UNIQUE INDEX knowledge_files_assistant ON knowledge_files (assistant_id, upload_id)",
    "CREATE INDEX knowledge_files_upload ON knowledge_files (upload_id)",
    "CREATE INDEX knowledge_files_workspace ON knowledge_files (workspace_id)",
    "CREATE INDEX knowledge_files_section ON knowledge_files (section_id)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_tables(tables()).await?;
        manager.execute_all(INDEXES).await?;
        manager.execute(default_assistant()).await?;
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            manager.execute_all(POSTGRES_STORAGE).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_tables(tables()).await
    }
}

fn tables() -> Vec<TableCreateStatement> {
    vec![
        assistants(),
        prompts(),
        message_reasoning(),
        mcp_servers(),
        mcp_clients(),
        mcp_connections(),
        tool_calls(),
        tool_permissions(),
        workspace_tools(),
        knowledge_files(),
        knowledge_chunks(),
        knowledge_vectors(),
        knowledge_words(),
    ]
}

fn assistants() -> TableCreateStatement {
    Table::create()
        .table("assistants")
        .col(uuid("id").primary_key())
        // Workspace of the assistant; NULL for the default assistant, which is available in all
        // workspaces.
        .col(uuid_null("workspace_id"))
        .col(string("name"))
        // Folded form of the name.
        .col(string("search_name"))
        .col(string_null("model"))
        .col(text_null("system_prompt"))
        .col(uuid_null("created_by"))
        .col(string_null("description"))
        // Sampling temperature in hundredths.
        .col(integer_null("temperature"))
        .col(integer_null("max_answer_tokens"))
        // Icon name or emoji.
        .col(string_null("glyph"))
        .col(integer_null("hue"))
        .col(boolean("tools_enabled").default(false))
        .col(string("visibility").default("workspace"))
        .col(boolean("answers_mentions").default(true))
        .col(boolean("model_choice").default(true))
        // Suggested first messages as JSON.
        .col(text_null("starters"))
        // Tools of MCP servers as JSON.
        .col(text_null("tools"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(boolean("is_deleted").default(false))
        .foreign_key(&mut cascading_reference("workspace_id", "workspaces"))
        .to_owned()
}

fn default_assistant() -> InsertStatement {
    Query::insert()
        .into_table("assistants")
        .columns(["id", "name", "search_name", "created_at", "updated_at"])
        .values_panic([DEFAULT_ID.into(), "Quill".into(), "quill".into(), 0_i64.into(), 0_i64.into()])
        .to_owned()
}

fn prompts() -> TableCreateStatement {
    Table::create()
        .table("prompts")
        .col(uuid("id").primary_key())
        .col(uuid("workspace_id"))
        // User who added the prompt; NULL if the account was deleted.
        .col(uuid_null("created_by"))
        .col(string("command"))
        .col(string("title"))
        .col(string("search_title"))
        .col(text("content"))
        .col(string("visibility"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .foreign_key(&mut cascading_reference("workspace_id", "workspaces"))
        .to_owned()
}

/// Reasoning of models before an answer. Kept in a separate table because messages are read more
/// often.
fn message_reasoning() -> TableCreateStatement {
    Table::create()
        .table("message_reasoning")
        .col(uuid("message_id"))
        .col(big_integer("version"))
        .col(text("content"))
        .primary_key(Index::create().col("message_id").col("version"))
        .to_owned()
}

fn mcp_servers() -> TableCreateStatement {
    Table::create()
        .table("mcp_servers")
        .col(uuid("id").primary_key())
        .col(string("name"))
        .col(string("search_name"))
        .col(text_null("description"))
        .col(string("transport"))
        .col(text_null("url"))
        .col(string_null("command"))
        // Headers or environment as JSON, sealed if a secret is configured.
        .col(binary_null("secrets"))
        .col(boolean("is_sealed"))
        .col(text("secret_names"))
        .col(boolean("is_enabled"))
        .col(string("offered_to"))
        // Tools reported by the server as JSON.
        .col(text("tools"))
        // Permission mode per tool as JSON.
        .col(text("modes"))
        .col(big_integer_null("checked_at"))
        .col(text_null("error"))
        .col(text("prompts").default("[]"))
        .col(string("auth").default("secrets"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .to_owned()
}

/// OAuth registration at an MCP server's authorization server.
fn mcp_clients() -> TableCreateStatement {
    Table::create()
        .table("mcp_clients")
        .col(uuid("server_id").primary_key())
        // Issuer that registered the client; NULL if an administrator registered it.
        .col(string_null("issuer"))
        .col(text_null("redirect_uri"))
        .col(text("client_id"))
        .col(binary_null("secret"))
        .col(boolean("is_sealed"))
        // Expiry of the client secret.
        .col(big_integer_null("expires_at"))
        .to_owned()
}

/// OAuth tokens of users for MCP servers.
fn mcp_connections() -> TableCreateStatement {
    Table::create()
        .table("mcp_connections")
        .col(uuid("user_id"))
        .col(uuid("server_id"))
        // JSON, sealed if a secret is configured.
        .col(binary("tokens"))
        .col(boolean("is_sealed"))
        // Expiry of the access token.
        .col(big_integer_null("expires_at"))
        // True if the user must sign in again.
        .col(boolean("is_expired"))
        // Version of the tokens, incremented when they change.
        .col(big_integer("version"))
        // End of the lease of the worker that renews the tokens.
        .col(big_integer_null("claimed_until"))
        // OAuth scope requested by the server in addition to the configured one.
        .col(text_null("extra_scope"))
        // True if the server has requested more scope since the user last signed in.
        .col(boolean("lacks_scope").default(false))
        .col(big_integer("created_at"))
        .primary_key(Index::create().col("user_id").col("server_id"))
        .to_owned()
}

/// Tool calls of an answer, each stored with the answer's version.
fn tool_calls() -> TableCreateStatement {
    Table::create()
        .table("tool_calls")
        .col(uuid("id").primary_key())
        .col(uuid("message_id"))
        .col(big_integer("version"))
        .col(integer("round"))
        .col(integer("place"))
        // Id of the call at the provider.
        .col(string("call_id"))
        .col(string("function"))
        .col(text_null("signature"))
        .col(uuid("server_id"))
        .col(string("server"))
        .col(string("tool"))
        .col(text_null("title"))
        .col(text("arguments"))
        .col(string("status"))
        .col(text_null("result"))
        // True if the call is idempotent and may therefore be repeated.
        .col(boolean("is_repeatable"))
        .col(uuid("requested_by"))
        // Position in the answer, in UTF-16 code units.
        .col(big_integer("text_offset"))
        // Claim number (`attempt`) of the job that runs the call.
        .col(integer("attempt"))
        .col(big_integer("asked_at"))
        .col(big_integer_null("expires_at"))
        .col(big_integer_null("started_at"))
        .col(big_integer_null("ended_at"))
        // Arguments written by the model, if the user has edited them.
        .col(text_null("model_arguments"))
        // Pictures returned by the tool, as JSON.
        .col(text_null("pictures"))
        .col(integer("picture_count").default(0))
        .to_owned()
}

/// Tools that a user has allowed permanently.
fn tool_permissions() -> TableCreateStatement {
    Table::create()
        .table("tool_permissions")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(uuid("assistant_id"))
        .col(uuid("server_id"))
        .col(string("tool"))
        .col(text_null("title"))
        // Digest of the tool definition; a changed tool needs permission again.
        .col(string("digest"))
        .col(big_integer("created_at"))
        .to_owned()
}

fn workspace_tools() -> TableCreateStatement {
    Table::create()
        .table("workspace_tools")
        .col(uuid("workspace_id"))
        .col(text("tool"))
        .col(text("mode"))
        .primary_key(Index::create().col("workspace_id").col("tool"))
        .to_owned()
}

fn knowledge_files() -> TableCreateStatement {
    Table::create()
        .table("knowledge_files")
        .col(uuid("id").primary_key())
        .col(uuid("assistant_id"))
        .col(uuid("workspace_id"))
        .col(uuid("upload_id"))
        // User who added the file; NULL if the account was deleted.
        .col(uuid_null("added_by"))
        .col(text("name"))
        .col(string("media_type"))
        .col(big_integer("size"))
        .col(string("state"))
        .col(text_null("error"))
        .col(big_integer("pieces").default(0))
        .col(big_integer("embedded").default(0))
        // Embedding model. `space` names the vector space; only vectors of the same space are
        // comparable.
        .col(string_null("model"))
        .col(string_null("space"))
        // Section that owns the file; NULL if an assistant or the workspace owns it. `assistant_id`
        // then has the same id as the section.
        .col(uuid_null("section_id"))
        .col(big_integer("cost").default(0))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .to_owned()
}

/// Chunks of knowledge files.
fn knowledge_chunks() -> TableCreateStatement {
    Table::create()
        .table("knowledge_chunks")
        .col(uuid("file_id"))
        .col(integer("number"))
        .col(text("text"))
        .col(integer_null("page"))
        .col(text_null("heading"))
        .col(integer_null("line"))
        .primary_key(Index::create().col("file_id").col("number"))
        .to_owned()
}

/// Embeddings of consecutive chunks: unit vectors of little-endian `f32`.
fn knowledge_vectors() -> TableCreateStatement {
    Table::create()
        .table("knowledge_vectors")
        .col(uuid("file_id"))
        .col(integer("first"))
        .col(integer("count"))
        .col(blob("vectors"))
        .primary_key(Index::create().col("file_id").col("first"))
        .to_owned()
}

/// Word hashes of consecutive chunks, for keyword retrieval.
fn knowledge_words() -> TableCreateStatement {
    Table::create()
        .table("knowledge_words")
        .col(uuid("file_id"))
        .col(integer("first"))
        .col(integer("count"))
        .col(blob("words"))
        .primary_key(Index::create().col("file_id").col("first"))
        .to_owned()
}
