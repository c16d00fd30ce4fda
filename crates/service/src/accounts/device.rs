//! The device that somebody signs in on, as its owner recognises it in the list.

use std::net::IpAddr;

/// What a request tells of the device that sent it.
#[derive(Clone, Debug, Default)]
pub struct Device {
    user_agent: Option<String>,
    address: Option<IpAddr>,
}

impl Device {
    const MAX_CHARS: usize = 256;

    /// Takes what can be shown of what a stranger sent.
    #[must_use]
    pub fn new(user_agent: Option<&str>, address: Option<IpAddr>) -> Self {
        let user_agent = user_agent
            .map(|text| {
                text.chars().filter(|character| !character.is_control()).take(Self::MAX_CHARS).collect::<String>()
            })
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty());
        Self { user_agent, address: address.map(|address| address.to_canonical()) }
    }

    pub(super) fn user_agent(&self) -> Option<String> {
        self.user_agent.clone()
    }

    /// Where it is.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        self.address
    }

    pub(super) fn address(&self) -> Option<String> {
        self.address.map(|address| address.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_can_be_shown() {
        let agent = format!(" Natter\r\nSet-Cookie: a=b\u{0}/1.0 {}", "ơ".repeat(5_000));
        let device = Device::new(Some(&agent), Some("::ffff:192.0.2.1".parse().unwrap()));
        let kept = device.user_agent().unwrap();
        assert!(kept.starts_with("NatterSet-Cookie: a=b/1.0 ơ"), "{kept}");
        assert!(kept.chars().count() <= Device::MAX_CHARS);
        assert_eq!(device.address().as_deref(), Some("192.0.2.1"));
        assert_eq!(Device::new(Some("\u{7}"), None).user_agent(), None);
    }
}
