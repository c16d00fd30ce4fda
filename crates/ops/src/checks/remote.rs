//! Checks over the network: database, Redis, mail server, AI providers, public address.

use ai::Ai;
use appcore::{
    Clock,
    config::Config,
    view::{Check, CheckAbout},
};
use dbcontext::{Database, query};

use super::{each, in_time};

/// Maximum difference to the clock of the database, in milliseconds.
const CLOCKS: u64 = 2_000;
/// Maximum waiting time of a due job, in milliseconds.
const LONG_WAIT: i64 = 300_000;

/// Compares the clocks of this machine and the database.
pub async fn clock(database: &Database) -> Check {
    const ABOUT: CheckAbout = CheckAbout::Clock;
    let asked = async { Ok(query::jobs::database_time(database.reader()).await?) };
    match in_time(asked).await {
        Ok((there, _)) => {
            let apart = there.abs_diff(Clock::system().now().millis());
            if apart <= CLOCKS {
                Check::ok(ABOUT, format!("{apart} ms apart from the database's"))
            } else {
                let says =
                    format!("{} s apart from the database's. Have both machines set theirs by NTP", apart / 1_000);
                Check::fault(ABOUT, says)
            }
        }
        Err(error) => Check::fault(ABOUT, format!("the database does not tell the time: {error:#}")),
    }
}

/// Search index of messages.
pub async fn search(config: &Config, database: &Database) -> Check {
    const ABOUT: CheckAbout = CheckAbout::Search;
    match in_time(message_search::state(config, database)).await {
        Ok((None, _)) => Check::ok(ABOUT, "there is no index yet; the server fills it when it runs"),
        Ok((Some(state), _)) if state.is_filling => Check::warning(
            ABOUT,
            format!("{} of about {} messages are in the index; the others are being read", state.messages, state.of),
        ),
        Ok((Some(state), _)) if state.waiting > 0 => Check::warning(
            ABOUT,
            format!(
                "{} messages are in the index; in {} conversations something waits, which a running server reads within a minute",
                state.messages, state.waiting
            ),
        ),
        Ok((Some(state), _)) => Check::ok(ABOUT, format!("{} messages are in the index", state.messages)),
        Err(error) => Check::fault(ABOUT, format!("{error:#}; natter search rebuild makes the index anew")),
    }
}

/// Checks that jobs are processed and that there are no dead letters.
pub async fn jobs(database: &Database) -> Check {
    const ABOUT: CheckAbout = CheckAbout::Jobs;
    let kinds = match in_time(async { Ok(query::job_list::stats_by_kind(database.reader()).await?) }).await {
        Ok((kinds, _)) => kinds,
        Err(error) => return Check::fault(ABOUT, format!("they can't be counted: {error:#}")),
    };
    let (due, dead): (i64, i64) = kinds.iter().fold((0, 0), |sum, kind| (sum.0 + kind.due, sum.1 + kind.dead));
    let longest = kinds.iter().map(|kind| kind.longest_wait).max().unwrap_or(0);
    if longest > LONG_WAIT {
        let says = format!(
            "one has been due for {} minutes. Is an instance with the role all or worker running?",
            longest / 60_000
        );
        Check::fault(ABOUT, says)
    } else if dead > 0 {
        let says = format!(
            "{dead} failed for good. The console's page Jobs says why; mend the cause, then put them back or delete them"
        );
        Check::warning(ABOUT, says)
    } else {
        Check::ok(ABOUT, format!("{due} wait, none failed for good"))
    }
}

/// Redis of the configuration, over a separate connection.
pub async fn redis(config: &Config) -> Check {
    const ABOUT: CheckAbout = CheckAbout::Redis;
    let Some(url) = &config.redis.url else {
        let says = "redis.url is not set: this instance is alone";
        return if config.is_embedded() {
            Check::ok(ABOUT, says)
        } else {
            Check::warning(ABOUT, format!("{says}. Several instances need one"))
        };
    };
    let pinged = in_time(async {
        let client = deadpool_redis::redis::Client::open(url.expose())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        Ok(deadpool_redis::redis::cmd("PING").query_async::<String>(&mut connection).await?)
    });
    match pinged.await {
        Ok((_, took)) => Check::ok(ABOUT, format!("answers within {took} ms")),
        Err(error) => {
            let says = format!("{error:#}");
            let next = if says.contains("certificate") {
                "Have this machine trust its authority (SSL_CERT_FILE), or renew it"
            } else {
                "Start Redis, or correct redis.url"
            };
            Check::fault(ABOUT, format!("{says}. {next}; until then news between instances are late"))
        }
    }
}

pub async fn mail(config: &Config) -> Check {
    const ABOUT: CheckAbout = CheckAbout::Mail;
    match in_time(identity::mail::probe(config)).await {
        Ok((true, took)) if identity::mail::sends_password_in_clear(config) => Check::warning(
            ABOUT,
            format!(
                "the mail server answers within {took} ms, and gets its password in clear. Take tls=none out of mail.smtp_url, or use smtps://"
            ),
        ),
        Ok((true, took)) => Check::ok(ABOUT, format!("the mail server answers within {took} ms")),
        Ok((false, _)) => Check::warning(
            ABOUT,
            "mail.smtp_url is not set: mails are written to files, and nobody can reset a password alone",
        ),
        Err(error) => {
            Check::fault(ABOUT, format!("{error:#}. Correct mail.smtp_url, or have the server let this machine in"))
        }
    }
}

/// Requests the model list of each provider, which is free.
pub async fn ai(ai: &Ai) -> Vec<Check> {
    const ABOUT: CheckAbout = CheckAbout::Ai;
    let providers = ai.health();
    if providers.is_empty() {
        let says = "there is no provider: assistants answer with a demonstration. Add one in the console, or set ai.providers in config.toml";
        return vec![Check::warning(ABOUT, says)];
    }
    let ask = async |name: &str, is_added: bool| {
        let there = if is_added { format!("{name} in the console") } else { format!("ai.providers.{name}") };
        match in_time(async { Ok(ai.test(name).await) }).await {
            Ok((Some(Ok(took)), _)) => Some(Check::ok(ABOUT, format!("{name} answers within {} ms", took.as_millis()))),
            Ok((Some(Err(error)), _)) => {
                Some(Check::fault(ABOUT, format!("{name}: {error}. Check {there} and its keys")))
            }
            Ok((None, _)) => None,
            Err(error) => {
                Some(Check::fault(ABOUT, format!("{name}: {error:#}. Check {there}, its base URL, and the network")))
            }
        }
    };
    each(providers.iter().map(|provider| ask(&provider.settings.name, provider.is_added))).await
}

/// Checks that `server.public_url` leads to a Natter server.
pub async fn public_address(config: &Config) -> Option<Check> {
    const ABOUT: CheckAbout = CheckAbout::PublicAddress;
    let url = config.server.public_url.as_ref()?;
    let shown = url.as_str().trim_end_matches('/');
    let asked = in_time(async {
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(client.get(format!("{shown}/health/simple")).send().await?.error_for_status()?)
    });
    Some(match asked.await {
        Ok((_, took)) => Check::ok(ABOUT, format!("{shown} answers within {took} ms")),
        Err(error) => Check::warning(
            ABOUT,
            format!(
                "{shown}: {error:#}. Start the server, or have the proxy lead there; links in mails use this address"
            ),
        ),
    })
}
