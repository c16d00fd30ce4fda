//! Checks over the network: database, Redis, mail server, AI providers and public address.

use std::time::Duration;

use ai::Ai;
use appcore::{
    Clock, Secret, Timestamp,
    config::{Config, Partitions},
    view::{Check, CheckAbout},
};
use dbcontext::{
    Database,
    query::{
        self,
        partitions::{Layout, PartitionedTable},
    },
};
use platform::redis::Redis;
use reqwest::StatusCode;
use serde_json::Value;

use super::{failure, local, run_concurrently, with_timeout};
use crate::{certificate, console};

/// Maximum difference between this machine's clock and that of the database, in milliseconds.
const MAX_CLOCK_SKEW_MILLIS: u64 = 2_000;
/// Remaining lifetime of a certificate below which it is reported.
const CERTIFICATE_WARNING: Duration = Duration::from_secs(14 * 86_400);
/// Number of bytes that are read of an answer of the public address.
const MAX_LIVENESS_BYTES: usize = 4_096;
/// Maximum time for which a job may be due without being claimed, in milliseconds.
const MAX_JOB_WAIT_MILLIS: i64 = 300_000;
/// Time for which there must be partitions. They are created two months ahead.
const MIN_PARTITION_LEAD: Duration = Duration::from_secs(7 * 86_400);

/// Compares the clocks of this machine and the database.
pub async fn clock(database: &Database) -> Check {
    const ABOUT: CheckAbout = CheckAbout::Clock;
    let asked = async { Ok(query::jobs::database_time(database.reader()).await?) };
    match with_timeout(asked).await {
        Ok((there, _)) => {
            let apart = there.abs_diff(Clock::system().now().millis());
            if apart <= MAX_CLOCK_SKEW_MILLIS {
                Check::ok(ABOUT, format!("{apart} ms apart from the database's clock"))
            } else {
                let says = format!("{} s apart from the database's clock. Use NTP on both machines", apart / 1_000);
                Check::fault(ABOUT, says)
            }
        }
        Err(error) => Check::fault(ABOUT, format!("Couldn't read the database's clock: {error:#}")),
    }
}

/// Checks the clock by the newest figures in a database on this machine. Returns `None` if they
/// don't show that it is wrong.
pub async fn clock_by_figures(database: &Database) -> Option<Check> {
    let asked = async { Ok(query::figures::newest_minute(database.reader()).await?) };
    let (newest, _) = with_timeout(asked).await.ok()?;
    let ahead = newest?.millis() - Clock::system().now().millis();
    let tolerance = i64::try_from(MAX_CLOCK_SKEW_MILLIS).ok()?;
    (ahead > tolerance).then(|| {
        let says = format!(
            "This machine's clock is at least {} s behind: the database has entries from later. Use NTP",
            ahead / 1_000
        );
        Check::fault(CheckAbout::Clock, says)
    })
}

/// Reports proxies that the running instances don't trust.
pub async fn untrusted_proxies(database: &Database) -> Vec<Check> {
    let since = Clock::system().now().minus(console::DEAD_AFTER);
    let asked = async { Ok(query::figures::instances(database.reader()).await?) };
    let Ok((rows, _)) = with_timeout(asked).await else { return Vec::new() };
    let mut peers: Vec<_> =
        rows.iter().filter(|row| row.seen_at >= since).flat_map(console::untrusted_proxies).collect();
    peers.sort_unstable();
    peers.dedup();
    local::untrusted_proxies(&peers)
}

/// Checks the search index of messages.
pub async fn search(config: &Config, database: &Database) -> Check {
    const ABOUT: CheckAbout = CheckAbout::Search;
    match with_timeout(message_search::status(config, database)).await {
        Ok((None, _)) => Check::ok(ABOUT, "No search index on this machine. A running server builds it"),
        Ok((Some(status), _)) if status.is_filling => Check::warning(
            ABOUT,
            format!(
                "{} of about {} messages indexed. The rest are being indexed",
                status.messages, status.expected_messages
            ),
        ),
        Ok((Some(status), _)) => Check::ok(ABOUT, format!("Messages indexed: {}", status.messages)),
        Err(error) => {
            let says = failure::summarize(&error);
            Check::fault(ABOUT, format!("{says}. Run natter doctor --fix to rebuild the index"))
        }
    }
}

/// Checks the partitions of the messages and the event log. Returns `None` if there are none, and
/// none are wanted.
pub async fn partitions(config: &Config, database: &Database) -> Option<Check> {
    const ABOUT: CheckAbout = CheckAbout::Database;
    let reading = async {
        let (mut counts, mut plain, mut late, mut stray) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let now = Timestamp(query::jobs::database_time(database.reader()).await?);
        for table in PartitionedTable::ALL {
            let layout = query::partitions::layout(database.reader(), table).await?;
            let Layout::Partitioned(partitions) = &layout else {
                plain.push(table.name());
                continue;
            };
            counts.push(format!("{}: {}", table.name(), partitions.len()));
            if layout.covered_until() < Some(now.plus(MIN_PARTITION_LEAD)) {
                late.push(table.name());
            }
            if query::partitions::has_stray_rows(database, table).await? {
                stray.push(table.name());
            }
        }
        Ok((counts.join(", "), plain.join(", "), late.join(", "), stray.join(", ")))
    };
    let (counts, plain, late, stray) = match with_timeout(reading).await {
        Ok((found, _)) => found,
        Err(error) => return Some(Check::fault(ABOUT, format!("Couldn't read the partitions: {error:#}"))),
    };
    let is_wanted = config.database.partitions == Partitions::Monthly;
    if counts.is_empty() && !is_wanted {
        return None;
    }
    Some(if is_wanted && !plain.is_empty() {
        let says = "not partitioned yet. A running server converts the tables, and its log says which one is in use";
        Check::warning(ABOUT, format!("{plain}: {says}"))
    } else if !late.is_empty() {
        let says =
            "no partitions for the next weeks. A running server creates them, and its log says which table is in use";
        Check::warning(ABOUT, format!("{late}: {says}"))
    } else if !stray.is_empty() {
        let says = "rows with a time far in the future. Check the clocks of all instances";
        Check::warning(ABOUT, format!("{stray}: {says}"))
    } else {
        Check::ok(ABOUT, format!("partitions of {counts}"))
    })
}

/// Checks that jobs are processed and that there are no dead letters.
pub async fn jobs(database: &Database) -> Check {
    const ABOUT: CheckAbout = CheckAbout::Jobs;
    let kinds = match with_timeout(async { Ok(query::job_list::stats_by_kind(database.reader()).await?) }).await {
        Ok((kinds, _)) => kinds,
        Err(error) => return Check::fault(ABOUT, format!("Couldn't count the jobs: {error:#}")),
    };
    let (due, dead): (i64, i64) = kinds.iter().fold((0, 0), |sum, kind| (sum.0 + kind.due, sum.1 + kind.dead));
    let longest = kinds.iter().map(|kind| kind.longest_wait).max().unwrap_or(0);
    if longest > MAX_JOB_WAIT_MILLIS {
        let says = format!(
            "A job has been due for {} minutes. Check that an instance with the role all or worker is running",
            longest / 60_000
        );
        Check::fault(ABOUT, says)
    } else if dead > 0 {
        let says =
            format!("{dead} failed permanently. See why in Admin, Jobs. Fix the cause, then retry or delete them");
        Check::warning(ABOUT, says)
    } else {
        Check::ok(ABOUT, format!("{due} waiting, none failed permanently"))
    }
}

/// Checks that the configured replica can be used.
pub async fn replica(database: &Database) -> Option<Check> {
    const ABOUT: CheckAbout = CheckAbout::Replica;
    Some(match database.check_replica().await? {
        Ok(()) => Check::ok(ABOUT, "The replica follows the primary"),
        Err(reason) => Check::fault(
            ABOUT,
            format!(
                "The replica can't be used: {reason}. Start it, or correct database.replica_url; until then the primary answers all reads"
            ),
        ),
    })
}

/// Checks the configured Redis, over a separate connection.
pub async fn redis(config: &Config) -> Check {
    const ABOUT: CheckAbout = CheckAbout::Redis;
    let Some(url) = &config.redis.url else {
        let says = "redis.url isn't set, so this instance runs alone";
        return if config.is_embedded() {
            Check::ok(ABOUT, says)
        } else {
            Check::warning(ABOUT, format!("{says}. Several instances need Redis"))
        };
    };
    let pinged = with_timeout(async { Redis::open(url)?.ping().await });
    match pinged.await {
        Ok((_, took)) => Check::ok(ABOUT, format!("answers within {took} ms")),
        Err(error) => {
            let address =
                failure::address_of(url.expose(), failure::REDIS_PORT).unwrap_or_else(|| "redis.url".to_owned());
            let says = failure::explain(&error, &address);
            let next = if says.contains("certificate") {
                "Add its certificate authority to this machine (SSL_CERT_FILE), or renew the certificate"
            } else {
                "Start Redis, or correct redis.url"
            };
            Check::fault(ABOUT, format!("{says}. {next}; until then updates between instances are late"))
        }
    }
}

/// Checks the server of `bus.url`, over a separate connection.
pub async fn bus(config: &Config, probe: impl AsyncFn(&Secret) -> anyhow::Result<()>) -> Option<Check> {
    const ABOUT: CheckAbout = CheckAbout::Bus;
    let url = config.bus.url.as_ref()?;
    Some(match with_timeout(probe(url)).await {
        Ok(((), took)) => Check::ok(ABOUT, format!("answers within {took} ms")),
        Err(error) => {
            let address = failure::bus_address(url).unwrap_or_else(|| "bus.url".to_owned());
            let says = failure::explain(&error, &address);
            Check::fault(ABOUT, format!("{says}. Start the bus, or correct bus.url; until then the server isn't ready"))
        }
    })
}

pub async fn mail(config: &Config) -> Check {
    const ABOUT: CheckAbout = CheckAbout::Mail;
    match with_timeout(identity::mail::probe(config)).await {
        Ok((true, took)) if identity::mail::sends_password_in_clear(config) => Check::warning(
            ABOUT,
            format!(
                "The mail server answers within {took} ms, but gets its password in clear text. Remove tls=none from mail.smtp_url, or use smtps://"
            ),
        ),
        Ok((true, took)) => Check::ok(ABOUT, format!("The mail server answers within {took} ms")),
        Ok((false, _)) => Check::warning(
            ABOUT,
            "Email isn't set up (mail.smtp_url). Emails are saved as files, and people can't reset their own passwords",
        ),
        Err(error) => {
            let address = identity::mail::server_address(config).unwrap_or_else(|| "mail.smtp_url".to_owned());
            let says = failure::explain(&error, &address);
            Check::fault(ABOUT, format!("{says}. Correct mail.smtp_url, or let the mail server accept this machine"))
        }
    }
}

/// Checks each AI provider by requesting its list of models, which is free.
pub async fn ai(ai: &Ai) -> Vec<Check> {
    const ABOUT: CheckAbout = CheckAbout::Ai;
    let providers = ai.health();
    if providers.is_empty() {
        let says = "No AI provider yet. Assistants give demo answers. Add one in Admin, Providers, or set ai.providers in config.toml";
        return vec![Check::warning(ABOUT, says)];
    }
    let ask = async |name: &str, is_added: bool| {
        let there = if is_added { format!("{name} in the console") } else { format!("ai.providers.{name}") };
        match with_timeout(async { Ok(ai.test(name).await) }).await {
            Ok((Some(Ok(took)), _)) => Some(Check::ok(ABOUT, format!("{name} answers within {} ms", took.as_millis()))),
            Ok((Some(Err(error)), _)) => {
                let says = failure::summarize(&error.into());
                Some(Check::fault(ABOUT, format!("{name}: {says}. Check {there} and its keys")))
            }
            Ok((None, _)) => None,
            Err(error) => Some(Check::fault(
                ABOUT,
                format!("{name}: {}. Check {there}, its base URL, and the network", failure::summarize(&error)),
            )),
        }
    };
    run_concurrently(providers.iter().map(|provider| ask(&provider.settings.name, provider.is_added))).await
}

/// Checks that `server.public_url` leads to a Natter server, and its certificate. A dead address is
/// a fault only if a server runs.
pub async fn public_address(config: &Config, is_running: bool) -> Option<Check> {
    const ABOUT: CheckAbout = CheckAbout::PublicAddress;
    let url = config.server.public_url.as_ref()?;
    let shown = url.as_str().trim_end_matches('/');
    let address = failure::address_of(shown, 443).unwrap_or_else(|| shown.to_owned());
    let now = Clock::system().now();
    Some(match with_timeout(request(shown)).await {
        Ok((PublicServer { status, .. }, _)) if !status.is_success() => {
            address_failure(is_running, &format!("{shown} answers {}", status.as_u16()))
        }
        Ok((PublicServer { is_natter: false, .. }, _)) => {
            address_failure(is_running, &format!("Another program answers at {shown}"))
        }
        Ok((server, took)) => match server.certificate_end {
            Some(end) if end < now.plus(CERTIFICATE_WARNING) => {
                Check::warning(ABOUT, format!("The certificate of {address} expires on {}. Renew it", day(end)))
            }
            _ => Check::ok(ABOUT, format!("{shown} answers within {took} ms")),
        },
        Err(error) if failure::summarize(&error).contains("certificate") => {
            let end = with_timeout(certificate::read(shown)).await.ok().map(|(end, _)| end);
            Check::warning(
                ABOUT,
                match end {
                    Some(end) if end < now => {
                        format!("The certificate of {address} expired on {}. Renew it", day(end))
                    }
                    end => {
                        let until = end.map_or_else(String::new, |end| format!(", valid until {},", day(end)));
                        format!(
                            "The certificate of {address}{until} is not trusted by this machine. Use one of a public authority, or add its authority (SSL_CERT_FILE)"
                        )
                    }
                },
            )
        }
        Err(error) => address_failure(is_running, &format!("{shown}: {}", failure::explain(&error, &address))),
    })
}

fn address_failure(is_running: bool, says: &str) -> Check {
    const ABOUT: CheckAbout = CheckAbout::PublicAddress;
    let links = "links in emails use this address";
    if is_running {
        Check::fault(ABOUT, format!("{says}, although the server runs. Point the proxy to it; {links}"))
    } else {
        Check::warning(ABOUT, format!("{says}. Start the server, or point the proxy to it; {links}"))
    }
}

/// Answer to `GET /health/simple` of the public address.
struct PublicServer {
    status: StatusCode,
    certificate_end: Option<Timestamp>,
    is_natter: bool,
}

async fn request(shown: &str) -> anyhow::Result<PublicServer> {
    let client = reqwest::Client::builder().no_proxy().tls_info(true).build()?;
    let mut response = client.get(format!("{shown}/health/simple")).send().await?;
    let (status, certificate_end) = (response.status(), certificate::expiration(&response));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend(chunk);
        if body.len() > MAX_LIVENESS_BYTES {
            break;
        }
    }
    let is_natter = serde_json::from_slice::<Value>(&body).is_ok_and(|answer| answer["status"].is_string());
    Ok(PublicServer { status, certificate_end, is_natter })
}

/// Day of a timestamp, as `2026-11-30`.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}
