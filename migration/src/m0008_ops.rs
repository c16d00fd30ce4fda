//! Jobs, announcements, the audit log, bans and monitoring.

use crate::{
    prelude::*,
    schema::{big_integer, big_integer_null, boolean, integer, string, string_null, text, text_null, uuid, uuid_null},
};

pub struct Migration;

const INDEXES: &[&str] = &[
    "CREATE INDEX jobs_concurrency_key ON jobs (concurrency_key) WHERE due_at IS NOT NULL",
    "CREATE INDEX jobs_subject ON jobs (subject) WHERE due_at IS NOT NULL",
    // The queries repeat these predicates word for word, so that the partial indexes are used.
    "CREATE INDEX jobs_due_at ON jobs (kind, due_at) WHERE due_at IS NOT NULL AND turn IS NULL AND is_blocked = FALSE",
    "CREATE INDEX jobs_turn ON jobs (kind, is_blocked, turn, scope_turn, id) WHERE turn IS NOT NULL",
    "CREATE INDEX jobs_scope_turn ON jobs (scope, kind, turn, scope_turn) WHERE turn IS NOT NULL",
    "CREATE INDEX jobs_owner ON jobs (owner, kind, turn) WHERE due_at IS NOT NULL",
    "CREATE INDEX jobs_blocked ON jobs (concurrency_key, id) WHERE is_blocked = TRUE",
    // Allows only one running job per concurrency key.
    "CREATE UNIQUE INDEX jobs_running ON jobs (concurrency_key) WHERE status = 'running'",
    "CREATE INDEX jobs_dead ON jobs (kind, id) WHERE status = 'dead'",
    "CREATE INDEX broadcasts_standing ON broadcasts (starts_at) WHERE withdrawn_at IS NULL",
    "CREATE INDEX broadcast_receipts_user ON broadcast_receipts (user_id)",
    "CREATE INDEX audit_log_created_at ON audit_log (created_at)",
    "CREATE INDEX audit_log_action ON audit_log (action, created_at)",
    "CREATE INDEX audit_log_actor ON audit_log (actor, created_at)",
    "CREATE INDEX audit_log_target ON audit_log (target, created_at)",
    "CREATE INDEX bans_expires_at ON bans (expires_at)",
    "CREATE INDEX bans_network ON bans (network, expires_at)",
    "CREATE INDEX incidents_began ON incidents (began_at)",
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
        jobs(),
        broadcasts(),
        broadcast_receipts(),
        audit_log(),
        bans(),
        installation(),
        instances(),
        incidents(),
        figures(),
    ]
}

fn jobs() -> TableCreateStatement {
    Table::create()
        .table("jobs")
        .col(uuid("id").primary_key())
        .col(string("kind"))
        // Concurrency key: jobs that share one run one at a time.
        .col(string("concurrency_key"))
        // Id of the entity the job is about; indexed for look-ups.
        .col(uuid("subject"))
        .col(text("payload"))
        // `waiting`, `running`, `done` or `dead`.
        .col(string("status"))
        // Number of times that the job was claimed; tells one claim from the next.
        .col(integer("attempt").default(0))
        // Earliest start while the job waits, end of the lease while it runs, NULL once it has
        // ended.
        .col(big_integer_null("due_at"))
        .col(uuid_null("leased_by"))
        .col(boolean("stop_requested").default(false))
        .col(string_null("error"))
        .col(uuid_null("owner"))
        .col(uuid_null("scope"))
        // Round of fair scheduling in which the job is claimed; NULL if it is claimed at `due_at`.
        .col(big_integer_null("turn"))
        // Position of the job among those of its workspace in that round.
        .col(big_integer_null("scope_turn"))
        // True if the job waits for another job with the same concurrency key.
        .col(boolean("is_blocked").default(false))
        // Number of claims that don't count as failed attempts: those before the last requeue or
        // suspension, and those that a worker has released.
        .col(integer("attempts_before").default(0))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .to_owned()
}

/// Announcements to users.
fn broadcasts() -> TableCreateStatement {
    Table::create()
        .table("broadcasts")
        .col(uuid("id").primary_key())
        .col(string("title"))
        // Folded form of the title.
        .col(string("search_title"))
        .col(text("body"))
        .col(string("severity"))
        // Audience as JSON; `channels` is JSON too.
        .col(text("audience"))
        .col(string("channels"))
        .col(boolean("dismissible"))
        .col(big_integer("starts_at"))
        .col(big_integer_null("ends_at"))
        .col(big_integer_null("withdrawn_at"))
        .col(uuid("created_by"))
        .col(big_integer("recipients"))
        // Last state that was published to users, at `announced_at`.
        .col(string_null("announced_state"))
        .col(big_integer_null("announced_at"))
        // Last user to whom the email was sent; `mailed_at` is set when all emails are sent.
        .col(uuid_null("last_mailed_user_id"))
        .col(big_integer_null("mailed_at"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .to_owned()
}

fn broadcast_receipts() -> TableCreateStatement {
    Table::create()
        .table("broadcast_receipts")
        .col(uuid("broadcast_id"))
        .col(uuid("user_id"))
        .col(big_integer("delivered_at"))
        .col(big_integer_null("seen_at"))
        .col(big_integer_null("dismissed_at"))
        .primary_key(Index::create().col("broadcast_id").col("user_id"))
        .to_owned()
}

/// The table has no foreign keys, because entries outlive the rows that they refer to.
fn audit_log() -> TableCreateStatement {
    Table::create()
        .table("audit_log")
        .col(uuid("id").primary_key())
        .col(string("action"))
        .col(uuid_null("actor"))
        .col(string_null("target"))
        .col(string_null("address"))
        .col(big_integer("created_at"))
        .to_owned()
}

fn bans() -> TableCreateStatement {
    Table::create()
        .table("bans")
        .col(uuid("id").primary_key())
        // CIDR with zero host bits, so that equal networks are equal strings.
        .col(string("network"))
        .col(string("reason"))
        // True if the firewall set the ban. Earlier automatic bans of a network make its next one
        // longer.
        .col(boolean("is_automatic"))
        .col(uuid_null("created_by"))
        .col(big_integer("expires_at"))
        .col(big_integer_null("lifted_at"))
        .col(big_integer("created_at"))
        .to_owned()
}

/// Values that belong to the installation as a whole, such as its id.
fn installation() -> TableCreateStatement {
    Table::create()
        .table("installation")
        .col(string("name").primary_key())
        .col(text("value"))
        .col(big_integer("updated_at"))
        .to_owned()
}

/// Instances and their last reported state.
fn instances() -> TableCreateStatement {
    Table::create()
        .table("instances")
        .col(uuid("id").primary_key())
        .col(big_integer("started_at"))
        .col(big_integer("seen_at"))
        // Reported state as JSON.
        .col(text("state"))
        .to_owned()
}

fn incidents() -> TableCreateStatement {
    Table::create()
        .table("incidents")
        .col(uuid("id").primary_key())
        .col(string("kind"))
        // Instance that detected the incident.
        .col(uuid("instance_id"))
        .col(big_integer("began_at"))
        .col(big_integer_null("ended_at"))
        // Number of failed or late requests, if known.
        .col(big_integer_null("impact"))
        .col(big_integer_null("affected_users"))
        .col(text_null("detail"))
        .to_owned()
}

/// Metrics per minute and per day.
fn figures() -> TableCreateStatement {
    Table::create()
        .table("figures")
        // Length of the interval: `minute` or `day`.
        .col(string("step"))
        // Start of the interval.
        .col(big_integer("at"))
        .col(string("name"))
        .col(big_integer("value"))
        .primary_key(Index::create().col("step").col("at").col("name"))
        .to_owned()
}
