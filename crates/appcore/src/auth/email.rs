//! E-mail addresses of accounts.

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::error::FieldError;

/// E-mail address in lower case, so that each mailbox has one account. Forms of RFC 5321 that mail
/// services don't hand out (quoted local parts, address literals, scripts other than ASCII) are
/// refused, because they make look-alikes possible.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Email(String);

impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|error| de::Error::custom(error.message))
    }
}

impl Email {
    /// Maximum length of an address in bytes (RFC 5321, section 4.5.3.1.3, without the brackets).
    pub const MAX_BYTES: usize = 254;
    const MAX_LOCAL_BYTES: usize = 64;
    const MAX_LABEL_BYTES: usize = 63;

    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(FieldError::new("email", "required", "Enter an email address."));
        }
        if text.len() > Self::MAX_BYTES {
            return Err(FieldError::new("email", "too_long", "This email address is too long."));
        }
        match text.split_once('@') {
            Some((local, domain)) if is_local(local) && is_domain(domain) => Ok(Self(text.to_ascii_lowercase())),
            _ => Err(FieldError::new("email", "invalid", "Enter a valid email, such as name@example.com.")),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }

    /// The part before the `@`.
    #[must_use]
    pub fn local(&self) -> &str {
        self.0.split_once('@').map_or(self.0.as_str(), |(local, _)| local)
    }
}

fn is_local(local: &str) -> bool {
    let atom = |atom: &str| {
        !atom.is_empty()
            && atom.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte))
    };
    local.len() <= Email::MAX_LOCAL_BYTES && local.split('.').all(atom)
}

fn is_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        (1..=Email::MAX_LABEL_BYTES).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn trims_and_lowercases() {
        assert_eq!(
            Email::parse(" Ada.Lovelace+chat@Example.COM \n").unwrap().as_str(),
            "ada.lovelace+chat@example.com"
        );
        assert_eq!(Email::parse("root@localhost").unwrap().local(), "root");
    }

    #[test]
    fn rejects_invalid_addresses() {
        let long = format!("{}@example.com", "a".repeat(65));
        let longer = format!("a@{}.com", "b".repeat(250));
        for bad in [
            "",
            " ",
            "ada",
            "@",
            "ada@",
            "@example.com",
            "a@b@c",
            "a b@example.com",
            ".a@example.com",
            "a.@example.com",
            "a..b@example.com",
            "a@-example.com",
            "a@example-.com",
            "a@example..com",
            "a@example.com.",
            "a\u{0}@example.com",
            "a@exa_mple.com",
            "\"a\"@example.com",
            "a@[127.0.0.1]",
            "ａda@example.com",
            "a@ехample.com",
            "a\r\nBcc: b@example.com",
            &long,
            &longer,
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_rejected_or_parsed_to_a_plain_address(text in ".{0,300}") {
            if let Ok(email) = Email::parse(&text) {
                prop_assert!(email.as_str().len() <= Email::MAX_BYTES);
                prop_assert!(email.as_str().bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
                prop_assert_eq!(email.as_str().matches('@').count(), 1);
                prop_assert_eq!(Email::parse(email.as_str()), Ok(email.clone()), "parsing is idempotent");
            }
        }

        #[test]
        fn accepts_ordinary_addresses(local in "[a-zA-Z0-9_+-]{1,20}(\\.[a-z0-9]{1,10}){0,2}", domain in "[a-z0-9]{1,20}(\\.[a-z]{2,8}){1,3}") {
            let text = format!("{local}@{domain}");
            let email = Email::parse(&text).unwrap();
            prop_assert_eq!(email.as_str(), text.to_lowercase());
        }
    }
}
