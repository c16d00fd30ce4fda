//! Explains failed requests in the words of an operator.

use std::{borrow::Cow, fs, io, os::unix::fs::MetadataExt as _, path::Path};

use appcore::{Secret, config::split_hosts};

/// Default ports of Redis and NATS.
pub const REDIS_PORT: u16 = 6379;
const NATS_PORT: u16 = 4222;

/// Explains why a request to `address` failed. The host and the port are named once.
#[must_use]
pub fn explain(error: &anyhow::Error, address: &str) -> String {
    let says = summarize(error);
    let text = says.to_lowercase();
    let is = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    if is(&["connection refused"]) {
        format!("nothing listens at {address}")
    } else if is(&["failed to lookup address", "name or service not known", "no address associated", "dns error"]) {
        format!("the host name of {address} is unknown")
    } else if is(&["no route to host", "network is unreachable"]) {
        format!("there is no network route to {address}")
    } else if is(&["no answer within", "timed out", "timeout"]) {
        format!("{address} doesn't answer")
    } else {
        says
    }
}

/// Joins the causes of an error, without those that another one repeats, and without XML.
#[must_use]
pub fn summarize(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let says = without_xml(&cause.to_string()).trim().trim_end_matches(['.', ':']).to_owned();
        if !says.is_empty() && !parts.iter().any(|part| part.contains(&says)) {
            parts.push(says);
        }
    }
    parts.join(": ")
}

/// Replaces the XML document in an answer of S3 by its code and message.
fn without_xml(says: &str) -> Cow<'_, str> {
    let Some(start) = says.find("<?xml").or_else(|| says.find("<Error>")) else { return Cow::Borrowed(says) };
    let element = |name: &str| {
        let (_, rest) = says.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(value, _)| value)
    };
    let found: Vec<&str> = [element("Code"), element("Message")].into_iter().flatten().collect();
    Cow::Owned(format!("{}{}", &says[..start], found.join(", ")))
}

/// Host and port of a URL, or several of them, for display. `None` if it has no host.
#[must_use]
pub fn address_of(url: &str, default_port: u16) -> Option<String> {
    let shown = |url: &reqwest::Url| {
        Some(format!("{}:{}", url.host_str()?, url.port_or_known_default().unwrap_or(default_port)))
    };
    Some(split_hosts(url)?.iter().map(shown).collect::<Option<Vec<_>>>()?.join(", "))
}

/// Hosts and ports of `bus.url`.
#[must_use]
pub fn bus_address(url: &Secret) -> Option<String> {
    let port = if url.expose().starts_with("redis") { REDIS_PORT } else { NATS_PORT };
    address_of(url.expose(), port)
}

/// States that a file or folder can't be written, and how to change that.
#[must_use]
pub fn not_writable(path: &Path, error: &io::Error) -> String {
    access_failure(path, "written", error)
}

/// States that a file can't be read, and how to change that.
#[must_use]
pub fn not_readable(path: &Path, error: &io::Error) -> String {
    access_failure(path, "read", error)
}

fn access_failure(path: &Path, what: &str, error: &io::Error) -> String {
    let shown = path.display();
    // If the path itself can't be seen, the folder that hides it counts.
    let visible = path.ancestors().find_map(|path| fs::symlink_metadata(path).ok().map(|found| (path, found)));
    let own = rustix::process::geteuid().as_raw();
    match visible.filter(|(_, found)| error.kind() == io::ErrorKind::PermissionDenied && found.uid() != own) {
        Some((place, found)) => {
            let (owner, user) = (user_name(found.uid()), user_name(own));
            let place = place.display();
            format!(
                "{shown} can't be {what}: {place} belongs to {owner}. Run as {owner}, or run chown -R {user} {place}"
            )
        }
        None => format!("{shown} can't be {what}: {error}"),
    }
}

/// Name of a user of this machine, or the id if there is none.
fn user_name(id: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("user {id}"))
}

/// True if the disk has no space.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn names_the_cause_and_the_address_once() {
        let refused = anyhow!("Connection refused (os error 111)").context("Connection error: Connection refused");
        assert_eq!(explain(&refused, "127.0.0.1:2"), "nothing listens at 127.0.0.1:2");
        let unknown = anyhow!("failed to lookup address information: Name or service not known");
        assert_eq!(explain(&unknown, "mail.invalid:25"), "the host name of mail.invalid:25 is unknown");
        assert_eq!(explain(&anyhow!("no answer within 5 s"), "10.0.0.1:6379"), "10.0.0.1:6379 doesn't answer");
    }

    #[test]
    fn summarizes_without_repetition_and_xml() {
        let xml = "Server returned 404 Not Found: <?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code><Message>The bucket does not exist</Message></Error>";
        let error = anyhow!(xml).context(format!("Error listing: {xml}")).context("failed to list backups");
        assert_eq!(
            summarize(&error),
            "failed to list backups: Error listing: Server returned 404 Not Found: NoSuchBucket, The bucket does not exist"
        );
        assert_eq!(summarize(&anyhow!("rejected the key. Ask an admin.")), "rejected the key. Ask an admin");
    }

    #[test]
    fn takes_the_address_of_a_url() {
        assert_eq!(address_of("redis://:secret@10.0.0.1", 6379).as_deref(), Some("10.0.0.1:6379"));
        assert_eq!(address_of("https://chat.example.org/x", 1).as_deref(), Some("chat.example.org:443"));
        assert_eq!(address_of("natter.db", 1), None);
        let several = "redis+sentinel://natter:secret@one:1,two:2/main";
        assert_eq!(address_of(several, 1).as_deref(), Some("one:1, two:2"));
    }
}
