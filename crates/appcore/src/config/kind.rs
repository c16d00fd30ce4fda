//! Value types of settings, and how they are parsed from text (in the environment) and from TOML.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;
use url::Url;

use super::destination::Destination;

/// Value type of a setting.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Text,
    /// Word from this list.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
    /// An integer in this inclusive range.
    Number(u64, u64),
    /// Address and port to listen on, or `none`.
    Listen,
    /// A URL with one of these schemes.
    Url(&'static [&'static str]),
    /// A URL with one of these schemes that may contain a password.
    SecretUrl(&'static [&'static str]),
    /// Like [`Self::SecretUrl`], but with one or more hosts, separated by commas.
    ServerUrl(&'static [&'static str]),
    Secret,
    /// Secret that a third party has issued, of any length.
    Credential,
    Secrets,
    Texts,
    /// List of some of these words.
    Choices(&'static [&'static str]),
    /// List of integers in this inclusive range.
    Numbers(u64, u64),
    /// List of web origins, each with scheme, host and port.
    Origins,
    /// List of networks in CIDR notation. A single address is a network of one.
    Networks,
    /// List of hosts, addresses and networks.
    Destinations,
}

/// Value as read from a source, before validation.
#[derive(Clone, Debug)]
pub(super) enum RawValue {
    Text(String),
    Toml(toml::Value),
}

/// Validated value of a setting.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(u64),
    Switch(bool),
    List(Vec<String>),
}

/// Description of the accepted values. It completes the sentence "`server.port` must be …".
#[derive(Debug)]
pub(super) struct ExpectedValue(pub String);

/// Result of parsing a raw value.
pub(super) enum ParsedValue {
    Set(Value),
    /// The text is empty, so the setting counts as not set.
    Empty,
    /// The text is a placeholder of a template that was not filled in.
    Placeholder,
}

impl Kind {
    /// True if the value must not be shown.
    pub(super) fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::Credential | Self::Secrets | Self::SecretUrl(_) | Self::ServerUrl(_))
    }

    pub(super) fn is_list(self) -> bool {
        matches!(
            self,
            Self::Secrets
                | Self::Texts
                | Self::Choices(_)
                | Self::Numbers(..)
                | Self::Origins
                | Self::Networks
                | Self::Destinations
        )
    }

    pub(super) fn parse_raw(self, raw: &RawValue) -> Result<ParsedValue, ExpectedValue> {
        if self.is_list() {
            return self.parse_list(raw);
        }
        let text = match raw {
            RawValue::Text(text) | RawValue::Toml(toml::Value::String(text)) => text.trim(),
            RawValue::Toml(toml::Value::Integer(number)) if matches!(self, Self::Number(..)) => &number.to_string(),
            RawValue::Toml(toml::Value::Boolean(on)) if matches!(self, Self::Switch) => &on.to_string(),
            RawValue::Toml(_) => return Err(self.expected()),
        };
        if text.is_empty() {
            return Ok(ParsedValue::Empty);
        }
        if is_placeholder(text) {
            return Ok(ParsedValue::Placeholder);
        }
        self.parse(text).map(ParsedValue::Set).ok_or_else(|| match self {
            Self::SecretUrl(schemes) | Self::ServerUrl(schemes) if has_raw_password(text, schemes) => ExpectedValue(
                "an address whose password is percent-encoded, such as %23 for #, %40 for @ and %2F for /".to_owned(),
            ),
            _ => self.expected(),
        })
    }

    fn parse(self, text: &str) -> Option<Value> {
        match self {
            Self::Text | Self::Credential => Some(Value::Text(text.to_owned())),
            Self::Secret => (text.chars().count() >= 8).then(|| Value::Text(text.to_owned())),
            Self::Choice(words) => words.contains(&text).then(|| Value::Text(text.to_owned())),
            Self::Listen => {
                let is_address = text == "none" || text.parse::<SocketAddr>().is_ok();
                is_address.then(|| Value::Text(text.to_owned()))
            }
            Self::Switch => text.parse().ok().map(Value::Switch),
            Self::Number(min, max) => {
                text.parse().ok().filter(|number| (min..=max).contains(number)).map(Value::Number)
            }
            Self::ServerUrl(schemes) => {
                let servers = split_hosts(text)?;
                let is_known = servers.iter().all(|url| schemes.contains(&url.scheme()) && url.host().is_some());
                is_known.then(|| Value::Text(text.to_owned()))
            }
            Self::SecretUrl(schemes) if has_raw_password(text, schemes) => None,
            Self::Url(schemes) | Self::SecretUrl(schemes) => {
                let scheme = Url::parse(text).ok()?.scheme().to_owned();
                schemes.contains(&scheme.as_str()).then(|| Value::Text(text.to_owned()))
            }
            Self::Secrets
            | Self::Texts
            | Self::Choices(_)
            | Self::Numbers(..)
            | Self::Origins
            | Self::Networks
            | Self::Destinations => None,
        }
    }

    fn parse_list(self, raw: &RawValue) -> Result<ParsedValue, ExpectedValue> {
        let written = |value: &toml::Value| match value {
            toml::Value::String(text) => Some(text.clone()),
            toml::Value::Integer(number) if matches!(self, Self::Numbers(..)) => Some(number.to_string()),
            _ => None,
        };
        let items: Vec<String> = match raw {
            RawValue::Text(text) | RawValue::Toml(toml::Value::String(text)) => {
                text.split([',', '\n']).map(str::to_owned).collect()
            }
            RawValue::Toml(toml::Value::Array(values)) => {
                values.iter().map(written).collect::<Option<_>>().ok_or_else(|| self.expected())?
            }
            RawValue::Toml(_) => return Err(self.expected()),
        };
        let mut kept = Vec::new();
        let mut unfilled = false;
        for item in items.iter().map(|item| item.trim()).filter(|item| !item.is_empty()) {
            if is_placeholder(item) {
                unfilled = true;
            } else {
                kept.push(self.parse_item(item).ok_or_else(|| self.expected())?);
            }
        }
        Ok(match (kept.is_empty(), unfilled) {
            (true, true) => ParsedValue::Placeholder,
            // An empty list in a file is intended: it overrides a default that isn't empty.
            (true, false) if matches!(raw, RawValue::Text(_)) => ParsedValue::Empty,
            _ => ParsedValue::Set(Value::List(kept)),
        })
    }

    fn parse_item(self, item: &str) -> Option<String> {
        match self {
            Self::Origins => {
                let url = Url::parse(item).ok()?;
                let web = matches!(url.scheme(), "http" | "https");
                let bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
                (web && bare).then(|| url.origin().ascii_serialization())
            }
            Self::Choices(words) => words.contains(&item).then(|| item.to_owned()),
            Self::Numbers(min, max) => {
                item.parse().ok().filter(|number| (min..=max).contains(number)).map(|number: u64| number.to_string())
            }
            Self::Networks => parse_network(item).map(|network| network.to_string()),
            Self::Destinations => item.parse::<Destination>().is_ok().then(|| item.to_owned()),
            _ => Some(item.to_owned()),
        }
    }

    fn expected(self) -> ExpectedValue {
        ExpectedValue(match self {
            Self::Text | Self::Credential => "a text".to_owned(),
            Self::Secret => "a text of at least 8 characters".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Listen => "an address with a port, such as 127.0.0.1:9464, or none".to_owned(),
            Self::Switch => "true or false".to_owned(),
            Self::Number(min, max) => format!("a whole number from {min} to {max}"),
            Self::Url(schemes) | Self::SecretUrl(schemes) | Self::ServerUrl(schemes) => {
                format!("an address that begins with {}://", schemes.join(":// or "))
            }
            Self::Secrets | Self::Texts => "a list of texts".to_owned(),
            Self::Choices(words) => format!("a list of some of {}", words.join(", ")),
            Self::Numbers(min, max) => format!("a list of whole numbers from {min} to {max}"),
            Self::Origins => "a list of web origins such as https://app.example.org".to_owned(),
            Self::Networks => "a list of networks such as 10.0.0.0/8".to_owned(),
            Self::Destinations => {
                "a list of hosts, addresses and networks such as files.example.org, 10.1.0.0/16".to_owned()
            }
        })
    }
}

impl Value {
    /// Renders the value as TOML. Secrets are masked.
    pub fn render(&self, kind: Kind) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Switch(on) => on.to_string(),
            Self::Text(url) if matches!(kind, Kind::SecretUrl(_)) => format!("{:?}", hide_password(url)),
            Self::Text(text) if matches!(kind, Kind::ServerUrl(_)) => {
                let servers = split_hosts(text).unwrap_or_default();
                format!("{:?}", servers.iter().map(|url| hide_password(url.as_str())).collect::<Vec<_>>().join(", "))
            }
            Self::Text(_) if kind.is_secret() => "***".to_owned(),
            Self::Text(text) => format!("{text:?}"),
            Self::List(items) if kind.is_secret() => format!("[{}]", vec!["***"; items.len()].join(", ")),
            Self::List(items) if matches!(kind, Kind::Numbers(..)) => format!("[{}]", items.join(", ")),
            Self::List(items) => format!("{items:?}"),
        }
    }
}

impl From<Value> for toml::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) => Self::String(text),
            // The ranges in the settings table fit into `i64`.
            Value::Number(number) => Self::Integer(i64::try_from(number).unwrap_or(i64::MAX)),
            Value::Switch(on) => Self::Boolean(on),
            Value::List(items) => Self::Array(items.into_iter().map(Self::String).collect()),
        }
    }
}

pub(super) fn parse_network(text: &str) -> Option<IpNet> {
    IpNet::from_str(text).ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// True if the text is a placeholder of a copied template.
fn is_placeholder(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let wrapped = |open: &str, close: char| text.starts_with(open) && text.ends_with(close);
    matches!(text.as_str(), "changeme" | "change-me" | "change_me")
        || text.starts_with("your-")
        || text.starts_with("your_")
        || wrapped("<", '>')
        || wrapped("${", '}')
}

/// Splits a URL with several hosts, `scheme://user:password@one:1,two:2/path`, into a URL for each of them. `None` if it
/// is malformed.
pub fn split_hosts(text: &str) -> Option<Vec<Url>> {
    let (scheme, rest) = text.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    hosts.split(',').map(|host| Url::parse(&format!("{scheme}://{user}{}{path}", host.trim())).ok()).collect()
}

/// True if a sign of the password, such as `#` or `/`, ends the host of the URL: the `@` follows it.
fn has_raw_password(text: &str, schemes: &[&str]) -> bool {
    let Some((_, rest)) = text.split_once("://").filter(|(scheme, _)| schemes.contains(scheme)) else { return false };
    let is_behind_fragment = rest.split_once('#').is_some_and(|(_, fragment)| fragment.contains('@'));
    is_behind_fragment || rest.contains('@') && split_hosts(text).is_none()
}

/// Masks the password in a URL. Masks the whole query if it contains a password.
fn hide_password(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return "***".to_owned() };
    if url.password().is_none() && !url.query_pairs().any(|(name, _)| name.contains("password")) {
        return text.to_owned();
    }
    if url.password().is_some() && url.set_password(Some("***")).is_err() {
        return "***".to_owned();
    }
    if url.query_pairs().any(|(name, _)| name.contains("password")) {
        url.set_query(Some("***"));
    }
    url.to_string()
}
