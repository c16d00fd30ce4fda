//! Users, their sessions and credentials.

use crate::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, blob, blob_null, boolean, cascading_reference, integer, string, string_null,
        text, text_null, uuid, uuid_null,
    },
};

pub struct Migration;

const INDEXES: &[&str] = &[
    // Applies only to existing accounts, so that the address of a deleted account can be used
    // again.
    "CREATE UNIQUE INDEX users_email ON users (email) WHERE is_deleted = FALSE",
    "CREATE INDEX users_suspended ON users (suspended_at) WHERE suspended_at IS NOT NULL",
    "CREATE INDEX users_created ON users (created_at, id)",
    "CREATE INDEX user_sessions_user ON user_sessions (user_id, last_used_at)",
    "CREATE INDEX user_sessions_ended ON user_sessions (ended_at) WHERE ended_at IS NOT NULL",
    "CREATE INDEX user_sessions_last_used ON user_sessions (last_used_at)",
    "CREATE UNIQUE INDEX refresh_tokens_hash ON refresh_tokens (token_hash)",
    "CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id)",
    // Lets only one of several instances create the first key.
    "CREATE UNIQUE INDEX signing_keys_active ON signing_keys (is_active) WHERE is_active = TRUE",
    "CREATE UNIQUE INDEX identities_subject ON identities (issuer, subject)",
    "CREATE INDEX identities_user ON identities (user_id)",
    "CREATE INDEX used_id_tokens_expires ON used_id_tokens (expires_at)",
    "CREATE UNIQUE INDEX pending_sign_ins_handle ON pending_sign_ins (handle_hash)",
    "CREATE INDEX pending_sign_ins_user ON pending_sign_ins (user_id)",
    "CREATE INDEX pending_sign_ins_expires ON pending_sign_ins (expires_at)",
    "CREATE UNIQUE INDEX passkeys_credential ON passkeys (credential_id)",
    "CREATE INDEX passkeys_user ON passkeys (user_id)",
    "CREATE INDEX recovery_codes_user ON recovery_codes (user_id)",
    "CREATE UNIQUE INDEX mail_tokens_subject ON mail_tokens (purpose, subject)",
    "CREATE UNIQUE INDEX mail_tokens_hash ON mail_tokens (token_hash)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_tables(tables()).await?;
        manager.execute_all(INDEXES).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_tables(tables()).await
    }
}

fn tables() -> Vec<TableCreateStatement> {
    vec![
        users(),
        user_settings(),
        user_sessions(),
        refresh_tokens(),
        signing_keys(),
        identities(),
        used_id_tokens(),
        pending_sign_ins(),
        passkeys(),
        totp(),
        recovery_codes(),
        known_devices(),
        mail_tokens(),
    ]
}

fn users() -> TableCreateStatement {
    Table::create()
        .table("users")
        .col(uuid("id").primary_key())
        .col(string("email"))
        .col(string("display_name"))
        // Folded form of the display name.
        .col(string("search_name"))
        .col(string_null("password_hash"))
        .col(string("role"))
        .col(big_integer_null("email_verified_at"))
        .col(string("language").default("en"))
        .col(boolean("second_factor").default(false))
        .col(big_integer_null("suspended_at"))
        .col(text_null("suspended_reason"))
        .col(uuid_null("suspended_by"))
        .col(string_null("status_emoji"))
        .col(string_null("status_text"))
        .col(big_integer_null("status_until"))
        .col(string_null("timezone"))
        .col(boolean("show_timezone").default(true))
        // Presence that the user has set by hand.
        .col(string_null("chosen_presence"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(boolean("is_deleted").default(false))
        .to_owned()
}

/// Instructions of users for all assistants.
fn user_settings() -> TableCreateStatement {
    Table::create()
        .table("user_settings")
        .col(uuid("user_id").primary_key())
        .col(text("instructions"))
        .col(big_integer("updated_at"))
        .to_owned()
}

fn user_sessions() -> TableCreateStatement {
    Table::create()
        .table("user_sessions")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(string_null("user_agent"))
        .col(string_null("address"))
        .col(big_integer("last_used_at"))
        .col(big_integer("expires_at"))
        .col(big_integer_null("ended_at"))
        .col(string_null("country"))
        .col(string_null("city"))
        .col(big_integer_null("confirmed_at"))
        .col(big_integer("created_at"))
        .foreign_key(&mut cascading_reference("user_id", "users"))
        .to_owned()
}

fn refresh_tokens() -> TableCreateStatement {
    Table::create()
        .table("refresh_tokens")
        .col(uuid("id").primary_key())
        .col(uuid("session_id"))
        .col(blob("token_hash"))
        .col(big_integer_null("used_at"))
        // Response to the rotation that used up this token, returned again for retries with the
        // same idempotency key. Sealed with a key derived from the token.
        .col(blob_null("successor"))
        .col(big_integer("created_at"))
        .foreign_key(&mut cascading_reference("session_id", "user_sessions"))
        .to_owned()
}

fn signing_keys() -> TableCreateStatement {
    Table::create()
        .table("signing_keys")
        .col(string("kid").primary_key())
        .col(blob("private_key"))
        .col(boolean("is_sealed"))
        .col(boolean("is_active"))
        // Time at which the key stopped signing; it verifies tokens for a while longer.
        .col(big_integer_null("retired_at"))
        .col(big_integer("created_at"))
        .to_owned()
}

/// Accounts of users at OpenID Connect providers.
fn identities() -> TableCreateStatement {
    Table::create()
        .table("identities")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        // Name of the provider in the settings.
        .col(string("provider"))
        .col(string("issuer"))
        .col(string("subject"))
        .col(string_null("email"))
        .col(big_integer("last_used_at"))
        .col(big_integer("created_at"))
        .foreign_key(&mut cascading_reference("user_id", "users"))
        .to_owned()
}

/// OpenID Connect ID tokens that were used to sign in. Each token is accepted only once.
fn used_id_tokens() -> TableCreateStatement {
    Table::create()
        .table("used_id_tokens")
        .col(blob("token_hash").primary_key())
        .col(big_integer("expires_at"))
        .to_owned()
}

/// Multi-step sign-ins in progress: OAuth, second factor or passkey.
fn pending_sign_ins() -> TableCreateStatement {
    Table::create()
        .table("pending_sign_ins")
        .col(uuid("id").primary_key())
        .col(string("kind"))
        .col(uuid_null("user_id"))
        .col(blob("handle_hash"))
        // State of the sign-in. If it contains secrets, it is sealed with the handle, which only
        // the client has.
        .col(blob("state"))
        .col(integer("failures").default(0))
        .col(big_integer("expires_at"))
        .col(big_integer("created_at"))
        .foreign_key(&mut cascading_reference("user_id", "users"))
        .to_owned()
}

fn passkeys() -> TableCreateStatement {
    Table::create()
        .table("passkeys")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(blob("credential_id"))
        // Public key, counter and transports as JSON.
        .col(text("credential"))
        .col(string("name"))
        .col(big_integer_null("last_used_at"))
        .col(big_integer("created_at"))
        .foreign_key(&mut cascading_reference("user_id", "users"))
        .to_owned()
}

fn totp() -> TableCreateStatement {
    Table::create()
        .table("totp")
        .col(uuid("user_id").primary_key())
        .col(blob("secret"))
        .col(boolean("is_sealed"))
        .col(big_integer_null("confirmed_at"))
        // Newest TOTP time step whose code was used; `used_steps` is a bit set of the steps before
        // it.
        .col(big_integer("newest_step").default(0))
        .col(big_integer("used_steps").default(0))
        // Number of wrong codes since `failures_since`, across all sign-ins of the user.
        .col(integer("failures").default(0))
        .col(big_integer("failures_since").default(0))
        .col(big_integer("created_at"))
        .foreign_key(&mut cascading_reference("user_id", "users"))
        .to_owned()
}

fn recovery_codes() -> TableCreateStatement {
    Table::create()
        .table("recovery_codes")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(blob("code_hash"))
        .col(big_integer_null("used_at"))
        .foreign_key(&mut cascading_reference("user_id", "users"))
        .to_owned()
}

/// Networks and user agents from which a user has signed in.
fn known_devices() -> TableCreateStatement {
    Table::create()
        .table("known_devices")
        .col(uuid("user_id"))
        // IPv4 address or IPv6 /64 network.
        .col(string("network"))
        // User agent without version numbers.
        .col(string("agent"))
        .col(big_integer("last_seen_at"))
        .primary_key(Index::create().col("user_id").col("network").col("agent"))
        .foreign_key(&mut cascading_reference("user_id", "users"))
        .to_owned()
}

/// Tokens of links in emails. A newer email for the same purpose and subject replaces the token.
fn mail_tokens() -> TableCreateStatement {
    Table::create()
        .table("mail_tokens")
        .col(uuid("id").primary_key())
        .col(string("purpose"))
        // Id of the account, invitation or other entity that the token is for, depending on the
        // purpose.
        .col(uuid("subject"))
        // SHA-256 of a token with 256 random bits.
        .col(blob("token_hash"))
        .col(big_integer("expires_at"))
        .col(big_integer("created_at"))
        .to_owned()
}
