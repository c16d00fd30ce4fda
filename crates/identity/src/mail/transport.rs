//! Mail transport: a mail server, or files if none is configured.

use std::{
    fs::{DirBuilder, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use appcore::{Clock, JobId, auth::Email, config::Config};
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{
        Body, Mailbox, MultiPart, SinglePart,
        header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{Error as SmtpError, PoolConfig, extension::ClientId},
};
use url::Url;

use super::compose::ComposedMail;

/// Timeout for each step of the SMTP dialogue.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout for sending one mail.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// Folder in `server.data_dir` for mails if no server is configured.
const OUTBOX: &str = "outbox";
/// Default port of the mail server without TLS.
const PORT: u16 = 25;
/// Default port of the mail server for submission.
const SUBMISSION_PORT: u16 = 587;
/// Default port of the mail server for submission over TLS.
const SUBMISSIONS_PORT: u16 = 465;
/// Maximum length of a line without its line break (RFC 5321, section 4.5.3.1.6).
const MAX_LINE_LEN: usize = 998;

pub struct Mailer {
    from: Mailbox,
    host: String,
    clock: Clock,
    transport: MailTransport,
}

enum MailTransport {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Outbox(PathBuf),
}

/// Reason why a mail was not sent.
#[derive(Debug)]
pub(super) enum SendError {
    /// The server has permanently rejected the mail. The text is its response.
    Rejected(String),
    Temporary(anyhow::Error),
}

/// Parsed address of the mail server.
struct ServerAddress {
    url: Url,
    /// True if the password is sent in plaintext. This only happens if the operator requests it.
    in_clear: bool,
}

impl ServerAddress {
    /// Parses the setting. By default, the library sends a password in plaintext even if the server
    /// offers TLS. Here a password requires STARTTLS. So the password is sent neither to a server
    /// that doesn't offer STARTTLS, nor to an attacker who hides the offer.
    fn parse(text: &str) -> Option<Self> {
        let mut url = Url::parse(text).ok()?;
        let has_password = url.password().is_some();
        let asked = url.query_pairs().find(|(key, _)| key == "tls").map(|(_, value)| value.into_owned());
        let in_clear = match (url.scheme(), asked.as_deref()) {
            ("smtp", Some("none")) => {
                url.set_query(None);
                has_password
            }
            ("smtp", None | Some("opportunistic")) if has_password => {
                let usual = if asked.is_some() { SUBMISSION_PORT } else { PORT };
                let port = url.port().unwrap_or(usual);
                url.set_port(Some(port)).ok()?;
                url.set_query(Some("tls=required"));
                false
            }
            _ => false,
        };
        Some(Self { url, in_clear })
    }
}

/// Host and port of the configured mail server, for display.
pub fn server_address(config: &Config) -> Option<String> {
    let ServerAddress { url, .. } = ServerAddress::parse(config.mail.smtp_url.as_ref()?.expose())?;
    let usual = match (url.scheme(), url.query()) {
        ("smtps", _) => SUBMISSIONS_PORT,
        (_, Some(_)) => SUBMISSION_PORT,
        _ => PORT,
    };
    Some(format!("{}:{}", url.host_str()?, url.port().unwrap_or(usual)))
}

/// True if the configured mail server gets the password in plaintext.
pub fn sends_password_in_clear(config: &Config) -> bool {
    let url = config.mail.smtp_url.as_ref();
    url.and_then(|url| ServerAddress::parse(url.expose())).is_some_and(|server| server.in_clear)
}

impl Mailer {
    /// Builds the mailer from the `mail` settings. A mail server that is unavailable doesn't
    /// prevent the start.
    pub fn build(config: &Config, clock: Clock) -> anyhow::Result<Self> {
        let host = config.server.public_host();
        let from = config.mail.from.clone().unwrap_or_else(|| format!("Natter <natter@{}>", mail_domain(&host)));
        let from = from.parse().with_context(|| {
            format!("The setting mail.from must be a mail address such as Natter <natter@example.org>, not {from:?}.")
        })?;
        let way = match &config.mail.smtp_url {
            Some(url) => {
                let server = ServerAddress::parse(url.expose());
                let builder = server.and_then(|server| {
                    let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(server.url.as_str()).ok()?;
                    // A path in the setting is the name to use.
                    let is_named = !matches!(server.url.path(), "" | "/");
                    Some(match hello_name(&host).filter(|_| !is_named) {
                        Some(name) => builder.hello_name(name),
                        None => builder,
                    })
                });
                let builder = builder.context(
                    "The setting mail.smtp_url must be the URL of a mail server: smtps://…, or smtp://… with ?tls=required, opportunistic or none.",
                )?;
                MailTransport::Smtp(
                    builder.timeout(Some(STEP_TIMEOUT)).pool_config(PoolConfig::new().max_size(8)).build(),
                )
            }
            None => {
                let folder = config.server.data_dir.join(OUTBOX);
                tracing::info!(folder = %folder.display(), "mail.smtp_url not set, writing mails to files");
                MailTransport::Outbox(folder)
            }
        };
        Ok(Self { from, host, clock, transport: way })
    }

    /// Tests the connection to the mail server. Returns false if none is configured.
    pub async fn probe(&self) -> anyhow::Result<bool> {
        let MailTransport::Smtp(server) = &self.transport else { return Ok(false) };
        anyhow::ensure!(server.test_connection().await.map_err(explain_error)?, "the mail server did not greet");
        Ok(true)
    }

    pub(super) async fn send(&self, id: JobId, to: &Email, letter: ComposedMail) -> Result<(), SendError> {
        let message = self.build_message(id, to, letter).map_err(SendError::Temporary)?;
        match &self.transport {
            MailTransport::Smtp(server) => match tokio::time::timeout(SEND_TIMEOUT, server.send(message)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) if is_final(&error) => {
                    Err(SendError::Rejected(format!("the mail server said: {error}")))
                }
                Ok(Err(error)) => Err(SendError::Temporary(explain_error(error).context("the mail server"))),
                Err(_) => Err(SendError::Temporary(anyhow::anyhow!("the mail server did not answer in time"))),
            },
            MailTransport::Outbox(folder) => {
                // File names sort by time.
                let at: String = self.clock.now().to_string().chars().filter(char::is_ascii_alphanumeric).collect();
                let (folder, name) = (folder.clone(), format!("{at}-{id}"));
                let written =
                    tokio::task::spawn_blocking(move || write_file(&folder, &name, &message.formatted())).await;
                written.map_err(anyhow::Error::new).and_then(|done| done).map_err(SendError::Temporary)
            }
        }
    }

    fn build_message(&self, id: JobId, to: &Email, letter: ComposedMail) -> anyhow::Result<Message> {
        // These headers prevent automatic replies (RFC 3834; Exchange knows only the second one).
        let by_machine =
            HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
        let suppression =
            HeaderValue::new(HeaderName::new_from_ascii_str("X-Auto-Response-Suppress"), "All".to_owned());
        let language =
            HeaderValue::new(HeaderName::new_from_ascii_str("Content-Language"), letter.language.as_str().to_owned());
        let mut builder = Message::builder();
        if let Some(url) = &letter.unsubscribe {
            let name = HeaderName::new_from_ascii_str;
            builder = builder
                .raw_header(HeaderValue::new(name("List-Unsubscribe"), format!("<{url}>")))
                .raw_header(HeaderValue::new(name("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click".to_owned()));
        }
        Ok(builder
            .from(self.from.clone())
            .to(Mailbox::new(None, to.as_str().parse()?))
            .subject(letter.subject)
            .date_now()
            // The id is the same for each attempt, so that mail programs recognise a duplicate.
            .message_id(Some(format!("<{id}@{}>", mail_domain(&self.host))))
            .raw_header(by_machine)
            .raw_header(suppression)
            .raw_header(language)
            .multipart(
                MultiPart::alternative()
                    .singlepart(part(ContentType::TEXT_PLAIN, letter.text))
                    .singlepart(part(ContentType::TEXT_HTML, letter.html)),
            )?)
    }
}

/// Builds a part of the mail. Plain ASCII is sent unencoded, so that links are readable in the
/// source.
fn part(kind: ContentType, text: String) -> SinglePart {
    let plain = text.is_ascii() && text.lines().all(|line| line.len() <= MAX_LINE_LEN);
    let body = if plain {
        let lines: Vec<&str> = text.lines().collect();
        Body::dangerous_pre_encoded((lines.join("\r\n") + "\r\n").into_bytes(), ContentTransferEncoding::SevenBit)
    } else {
        Body::new(text)
    };
    SinglePart::builder().header(kind).body(body)
}

/// Domain for mail addresses. It must be a name, since many mail servers don't accept IP addresses.
fn mail_domain(host: &str) -> &str {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<std::net::IpAddr>().is_ok() { "localhost" } else { host }
}

/// Name with which the server greets a mail server: the host of `server.public_url`. Many mail servers refuse names
/// without a domain, such as the id of a container. `None` for the name of this machine.
fn hello_name(host: &str) -> Option<ClientId> {
    (host.contains('.') && mail_domain(host) == host).then(|| ClientId::Domain(host.to_owned()))
}

/// Converts the library's error, and explains it if the server doesn't offer TLS.
fn explain_error(error: SmtpError) -> anyhow::Error {
    let is_plain = error.is_client() && error.to_string().contains("STARTTLS");
    let error = anyhow::Error::new(error);
    if is_plain {
        return error.context(
            "it offers no STARTTLS, so nothing is sent to it; ?tls=none in mail.smtp_url sends even a password in clear",
        );
    }
    error
}

/// True if the server has permanently rejected this mail. Authentication errors are excluded, because the operator can
/// fix them.
fn is_final(error: &SmtpError) -> bool {
    const WHO_ARE_YOU: [u16; 5] = [454, 530, 534, 535, 538];
    error.is_permanent() && !error.status().is_some_and(|status| WHO_ARE_YOU.contains(&status.into()))
}

/// Writes a file atomically. It may contain a link that grants access to an account, so only the server's user may read
/// it.
fn write_file(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let failed = || format!("failed to write mail to {}", folder.display());
    DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(failed)?;
    let (unfinished, whole) = (folder.join(format!(".{name}")), folder.join(format!("{name}.eml")));
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&unfinished)
        .with_context(failed)?;
    file.write_all(bytes).with_context(failed)?;
    drop(file);
    std::fs::rename(unfinished, whole).with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greets_with_the_public_host() {
        assert_eq!(hello_name("chat.example.org"), Some(ClientId::Domain("chat.example.org".to_owned())));
        for host in ["localhost", "15b0717dc4c2", "127.0.0.1", "[2001:db8::1]"] {
            assert_eq!(hello_name(host), None, "{host}");
        }
    }

    #[test]
    fn password_requires_starttls_unless_plaintext_is_requested() {
        for (said, read, in_clear) in [
            ("smtp://mail.example", "smtp://mail.example", false),
            ("smtp://mail.example?tls=none", "smtp://mail.example", false),
            ("smtp://mail.example?tls=opportunistic", "smtp://mail.example?tls=opportunistic", false),
            ("smtp://ann@mail.example", "smtp://ann@mail.example", false),
            ("smtp://ann:pw@mail.example", "smtp://ann:pw@mail.example:25?tls=required", false),
            ("smtp://ann:p%40w@mail.example:2525/us", "smtp://ann:p%40w@mail.example:2525/us?tls=required", false),
            ("smtp://ann:pw@mail.example?tls=opportunistic", "smtp://ann:pw@mail.example:587?tls=required", false),
            ("smtp://ann:pw@mail.example?tls=required", "smtp://ann:pw@mail.example?tls=required", false),
            ("smtp://ann:pw@mail.example?tls=none", "smtp://ann:pw@mail.example", true),
            ("smtps://ann:pw@mail.example", "smtps://ann:pw@mail.example", false),
            ("smtps://ann:pw@mail.example?tls=none", "smtps://ann:pw@mail.example?tls=none", false),
        ] {
            let server = ServerAddress::parse(said).unwrap();
            assert_eq!((server.url.as_str(), server.in_clear), (read, in_clear), "{said}");
        }
        assert!(ServerAddress::parse("mail.example").is_none());
    }
}
