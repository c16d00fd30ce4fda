//! Changes of accounts and of memberships of workspaces, for programs that read the event stream.
//!
//! Triggers fill the outbox, so that each change is in it, whichever statement makes it, and in the same transaction. The
//! row of the user or of the membership is locked at that time, so the positions of its events are in the order of the
//! commits. Nothing is recorded unless `event_stream.user_events` is set.

use sea_orm::DatabaseBackend;

use crate::{
    prelude::*,
    schema::{big_integer, boolean, string, text_null, uuid, uuid_null},
};

pub struct Migration;

/// Trigger that records an event after a row was inserted or updated.
struct Trigger {
    name: &'static str,
    table: &'static str,
    operation: &'static str,
    condition: &'static str,
    /// `type` of the event.
    kind: &'static str,
}

const TRIGGERS: [Trigger; 10] = [
    // The account of a service account is inserted as deleted, and stays so.
    Trigger {
        name: "user_created",
        table: "users",
        operation: "INSERT",
        condition: "NOT NEW.is_deleted",
        kind: "user.created",
    },
    Trigger {
        name: "user_updated",
        table: "users",
        operation: "UPDATE",
        condition: "NOT OLD.is_deleted AND NOT NEW.is_deleted AND (OLD.email <> NEW.email \
                    OR (OLD.email_verified_at IS NULL) <> (NEW.email_verified_at IS NULL) \
                    OR OLD.display_name <> NEW.display_name OR OLD.role <> NEW.role OR OLD.language <> NEW.language \
                    OR OLD.timezone IS DISTINCT FROM NEW.timezone OR OLD.title IS DISTINCT FROM NEW.title \
                    OR OLD.pronouns IS DISTINCT FROM NEW.pronouns)",
        kind: "user.updated",
    },
    Trigger {
        name: "user_suspended",
        table: "users",
        operation: "UPDATE",
        condition: "NOT NEW.is_deleted AND OLD.suspended_at IS NULL AND NEW.suspended_at IS NOT NULL",
        kind: "user.suspended",
    },
    Trigger {
        name: "user_reinstated",
        table: "users",
        operation: "UPDATE",
        condition: "NOT NEW.is_deleted AND OLD.suspended_at IS NOT NULL AND NEW.suspended_at IS NULL",
        kind: "user.reinstated",
    },
    Trigger {
        name: "user_deleted",
        table: "users",
        operation: "UPDATE",
        condition: "NOT OLD.is_deleted AND NEW.is_deleted",
        kind: "user.deleted",
    },
    Trigger {
        name: "workspace_joined",
        table: "workspace_members",
        operation: "INSERT",
        condition: "NOT NEW.is_deleted",
        kind: "workspace.joined",
    },
    Trigger {
        name: "workspace_joined_again",
        table: "workspace_members",
        operation: "UPDATE",
        condition: "OLD.is_deleted AND NOT NEW.is_deleted",
        kind: "workspace.joined",
    },
    Trigger {
        name: "workspace_left",
        table: "workspace_members",
        operation: "UPDATE",
        condition: "NOT OLD.is_deleted AND NEW.is_deleted AND NEW.removed_at IS NULL",
        kind: "workspace.left",
    },
    Trigger {
        name: "workspace_member_removed",
        table: "workspace_members",
        operation: "UPDATE",
        condition: "NOT OLD.is_deleted AND NEW.is_deleted AND NEW.removed_at IS NOT NULL",
        kind: "workspace.member_removed",
    },
    Trigger {
        name: "workspace_role_changed",
        table: "workspace_members",
        operation: "UPDATE",
        condition: "NOT OLD.is_deleted AND NOT NEW.is_deleted AND OLD.role <> NEW.role",
        kind: "workspace.role_changed",
    },
];

const INDEX: &str = "CREATE INDEX user_event_outbox_position ON user_event_outbox (position)";
/// Columns of a user in an event: no credentials.
const COLUMNS: [&str; 7] = ["email", "display_name", "role", "language", "timezone", "title", "pronouns"];

/// Removes the data of a deleted account from its waiting events.
const SCRUB: &str = "UPDATE user_event_outbox SET data = NULL WHERE user_id = NEW.id AND data IS NOT NULL;";

/// True in the function of a trigger if the account was deleted.
const IS_DELETED: &str = "(TG_ARGV[0] = 'user.deleted')";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(user_event_outbox()).await?;
        manager.execute_all(&[INDEX]).await?;
        let recording =
            Table::alter().table("event_stream").add_column(boolean("user_events").default(false)).to_owned();
        manager.alter_table(recording).await?;
        if is_postgres(manager) {
            let statements = [
                "CREATE SEQUENCE user_event_positions".to_owned(),
                postgres_function("record_user_event", "NEW.id", "NULL", &user_data(true)),
                postgres_function("record_membership_event", "NEW.user_id", "NEW.workspace_id", &membership_data(true)),
            ];
            execute(manager, &statements).await?;
        }
        let triggers: Vec<String> = TRIGGERS.iter().map(|trigger| trigger.create(is_postgres(manager))).collect();
        execute(manager, &triggers).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_postgres = is_postgres(manager);
        let triggers: Vec<String> = TRIGGERS.iter().map(|trigger| trigger.drop(is_postgres)).collect();
        execute(manager, &triggers).await?;
        if is_postgres {
            manager
                .execute_all(&[
                    "DROP FUNCTION record_user_event",
                    "DROP FUNCTION record_membership_event",
                    "DROP SEQUENCE user_event_positions",
                ])
                .await?;
        }
        manager.alter_table(Table::alter().table("event_stream").drop_column("user_events").to_owned()).await?;
        manager.drop_table(Table::drop().table("user_event_outbox").to_owned()).await
    }
}

/// Events that the broker has not confirmed. The id is that of the event.
fn user_event_outbox() -> TableCreateStatement {
    Table::create()
        .table("user_event_outbox")
        .col(uuid("id").primary_key())
        .col(big_integer("position"))
        .col(string("kind"))
        .col(uuid("user_id"))
        .col(uuid_null("workspace_id"))
        // JSON of the user, or of the membership, after the change.
        .col(text_null("data"))
        .col(big_integer("created_at"))
        .to_owned()
}

impl Trigger {
    fn create(&self, is_postgres: bool) -> String {
        let Self { name, table, operation, condition, kind } = self;
        let head = format!("CREATE TRIGGER {name} AFTER {operation} ON {table} FOR EACH ROW");
        let is_user = *table == "users";
        if is_postgres {
            let function = if is_user { "record_user_event" } else { "record_membership_event" };
            return format!("{head} WHEN ({condition}) EXECUTE FUNCTION {function}('{kind}')");
        }
        let (user, workspace) = if is_user { ("NEW.id", "NULL") } else { ("NEW.user_id", "NEW.workspace_id") };
        let data = match *kind {
            "user.deleted" => "NULL".to_owned(),
            _ if is_user => user_data(false),
            _ => membership_data(false),
        };
        let scrub = if *kind == "user.deleted" { SCRUB } else { "" };
        format!(
            "{head} WHEN {condition} BEGIN {scrub} \
             INSERT INTO user_event_outbox (id, position, kind, user_id, workspace_id, data, created_at) \
             SELECT randomblob(16), (SELECT COALESCE(MAX(position), 0) + 1 FROM user_event_outbox), \
             '{kind}', {user}, {workspace}, {data}, NEW.updated_at FROM event_stream WHERE user_events; END"
        )
    }

    fn drop(&self, is_postgres: bool) -> String {
        let Self { name, table, .. } = self;
        if is_postgres { format!("DROP TRIGGER {name} ON {table}") } else { format!("DROP TRIGGER {name}") }
    }
}

/// Function of the triggers of a table. Its argument is the `type` of the event.
fn postgres_function(name: &str, user: &str, workspace: &str, data: &str) -> String {
    let is_user = workspace == "NULL";
    let scrub = if is_user { format!("IF {IS_DELETED} THEN {SCRUB} END IF;") } else { String::new() };
    let data = if is_user { format!("CASE WHEN NOT {IS_DELETED} THEN {data} END") } else { data.to_owned() };
    format!(
        "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN \
         {scrub} \
         INSERT INTO user_event_outbox (id, position, kind, user_id, workspace_id, data, created_at) \
         SELECT gen_random_uuid(), nextval('user_event_positions'), TG_ARGV[0], {user}, {workspace}, \
         {data}, NEW.updated_at \
         FROM event_stream WHERE user_events; RETURN NULL; END $body$"
    )
}

fn user_data(is_postgres: bool) -> String {
    let mut fields: Vec<String> = COLUMNS.iter().map(|column| format!("'{column}', NEW.{column}")).collect();
    let boolean = |sql: &str| if is_postgres { sql.to_owned() } else { format!("json(iif({sql}, 'true', 'false'))") };
    fields.push(format!("'email_verified', {}", boolean("NEW.email_verified_at IS NOT NULL")));
    fields.push(format!("'suspended', {}", boolean("NEW.suspended_at IS NOT NULL")));
    fields.push("'created_at', NEW.created_at".to_owned());
    json_object(is_postgres, &fields.join(", "))
}

fn membership_data(is_postgres: bool) -> String {
    json_object(is_postgres, "'role', NEW.role")
}

fn json_object(is_postgres: bool, fields: &str) -> String {
    if is_postgres { format!("CAST(json_build_object({fields}) AS text)") } else { format!("json_object({fields})") }
}

fn is_postgres(manager: &SchemaManager) -> bool {
    manager.get_database_backend() == DatabaseBackend::Postgres
}

async fn execute(manager: &SchemaManager<'_>, statements: &[String]) -> Result<(), DbErr> {
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    manager.execute_all(&statements).await
}
