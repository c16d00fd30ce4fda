//! Connection poolers (PgBouncer) between an instance and PostgreSQL.
//!
//! In transaction mode, a pooler that doesn't know prepared statements gives a client the results of other clients'
//! statements without an error. Whether there is such a pooler is therefore found out before anything else is read.
//! A pooler refuses parameters at connection time, so the role in PostgreSQL must have them.

use std::{fmt::Display, time::Duration};

use anyhow::Context as _;
use appcore::config::Pooler;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection, postgres::PgConnectOptions};

/// PostgreSQL's `statement_timeout` for the connections of the server.
pub(crate) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// PostgreSQL's `idle_in_transaction_session_timeout`: bounds how long a hung instance holds locks. Our transactions
/// wait for nothing but the database.
pub(crate) const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of the whole check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(8);

/// Behaviour of what is between an instance and PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Observed {
    /// The same server process for a session: PostgreSQL itself, or a pooler in session mode.
    Session,
    /// Different server processes for transactions, each of which knows the prepared statements.
    Transaction,
    /// Prepared statements get lost, or are those of other clients.
    Unsafe,
}

/// Fails if the database can't be used in this way. Leaves it to the caller to report that it can't be reached.
pub(crate) async fn check(url: &str, pooler: Pooler) -> anyhow::Result<()> {
    let Ok(options) = url.parse::<PgConnectOptions>() else { return Ok(()) };
    let options = options.extra_float_digits(None);
    let connecting = async { Ok::<_, sqlx::Error>([options.connect().await?, options.connect().await?]) };
    let Ok(Ok([mut one, mut other])) = tokio::time::timeout(CHECK_TIMEOUT, connecting).await else { return Ok(()) };
    let checked = async {
        require(pooler, observe(&mut one, &mut other).await)?;
        if pooler != Pooler::None {
            require_settings(&mut other).await?;
        }
        Ok(())
    };
    let checked = tokio::time::timeout(CHECK_TIMEOUT, checked).await.context("the database doesn't answer")?;
    let _ = tokio::join!(one.close(), other.close());
    checked
}

/// Prepares a statement on one connection, and executes it again while another connection has a transaction open. A
/// pooler in transaction mode gives the second execution another server process.
async fn observe(one: &mut PgConnection, other: &mut PgConnection) -> Observed {
    let observed = async {
        let first = process_of(one, 1).await?;
        other.execute("BEGIN").await?;
        process_of(other, 2).await?;
        let second = process_of(one, 3).await;
        other.execute("ROLLBACK").await?;
        Ok::<_, sqlx::Error>((first, second?))
    };
    match observed.await {
        Ok((Some(first), Some(second))) if first == second => Observed::Session,
        Ok((Some(_), Some(_))) => Observed::Transaction,
        Ok(_) | Err(_) => Observed::Unsafe,
    }
}

/// Returns the server process that executes a prepared statement; `None` if the result is that of another one.
async fn process_of(connection: &mut PgConnection, number: i64) -> Result<Option<i32>, sqlx::Error> {
    let (process, echoed): (i32, i64) =
        sqlx::query_as("SELECT pg_backend_pid(), $1").bind(number).fetch_one(connection).await?;
    Ok((echoed == number).then_some(process))
}

fn require(pooler: Pooler, observed: Observed) -> anyhow::Result<()> {
    match (observed, pooler) {
        (Observed::Unsafe, _) => anyhow::bail!(
            "the connection pooler in front of the database mixes up prepared statements, which gives wrong results. \
             Use PgBouncer 1.21 or newer with max_prepared_statements, or pool_mode = session"
        ),
        (Observed::Transaction, Pooler::None | Pooler::Session) => anyhow::bail!(
            "the connection pooler in front of the database is in transaction mode. Set database.pooler = \"transaction\""
        ),
        (Observed::Session, _) | (Observed::Transaction, Pooler::Transaction) => Ok(()),
    }
}

/// Fails if the role lacks a setting that an instance otherwise sets when it connects.
async fn require_settings(connection: &mut PgConnection) -> anyhow::Result<()> {
    let millis = |limit: Duration| limit.as_millis().to_string();
    let needed = [
        ("statement_timeout", millis(STATEMENT_TIMEOUT)),
        ("idle_in_transaction_session_timeout", millis(IDLE_IN_TRANSACTION_TIMEOUT)),
        ("plan_cache_mode", "force_custom_plan".to_owned()),
        ("jit", "off".to_owned()),
    ];
    let (role,): (String,) = sqlx::query_as("SELECT current_user::text").fetch_one(&mut *connection).await?;
    let mut missing = Vec::new();
    for (name, value) in needed {
        let sql = "SELECT setting FROM pg_settings WHERE name = $1";
        let found: Option<(String,)> = sqlx::query_as(sql).bind(name).fetch_optional(&mut *connection).await?;
        if found.is_none_or(|(found,)| found != value) {
            missing.push(alter(&role, name, &value));
        }
    }
    anyhow::ensure!(
        missing.is_empty(),
        "behind a connection pooler, the role needs settings that it doesn't have. Run in PostgreSQL, then restart the \
         pooler: {}",
        missing.join(" ")
    );
    Ok(())
}

fn alter(role: &str, name: &str, value: &impl Display) -> String {
    format!("ALTER ROLE \"{}\" SET {name} = '{value}';", role.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_lost_statements_and_an_undeclared_transaction_mode() {
        for pooler in [Pooler::None, Pooler::Session, Pooler::Transaction] {
            let says = require(pooler, Observed::Unsafe).unwrap_err().to_string();
            assert!(says.contains("1.21") && says.contains("max_prepared_statements"), "{says}");
            assert!(require(pooler, Observed::Session).is_ok());
            assert_eq!(require(pooler, Observed::Transaction).is_ok(), pooler == Pooler::Transaction);
        }
        let sql = alter("a\"b", "jit", &"off");
        assert_eq!(sql, "ALTER ROLE \"a\"\"b\" SET jit = 'off';");
    }
}
