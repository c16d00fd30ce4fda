//! Session ids. An id contains the session's instance and a secret that authorises its holder to
//! act for the client.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

/// Length in bytes: instance, thread and secret.
const SID_LEN: usize = 16 + 2 + 16;

/// Id of a session: its location and its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sid {
    pub instance: Uuid,
    /// Index of the session's thread within the instance; see [`super::SessionRouter`].
    pub thread: u16,
    /// Secret of 122 random bits. The other parts aren't secret.
    pub(super) secret: Uuid,
}

impl Sid {
    #[must_use]
    pub fn new(instance: Uuid, thread: u16) -> Self {
        Self { instance, thread, secret: Uuid::new_v4() }
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; SID_LEN];
        bytes[..16].copy_from_slice(self.instance.as_bytes());
        bytes[16..18].copy_from_slice(&self.thread.to_be_bytes());
        bytes[18..].copy_from_slice(self.secret.as_bytes());
        formatter.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// Error for an invalid session id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSid;

impl FromStr for Sid {
    type Err = InvalidSid;

    fn from_str(text: &str) -> Result<Self, InvalidSid> {
        let mut bytes = [0; SID_LEN];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(SID_LEN) => {}
            _ => return Err(InvalidSid),
        }
        let uuid = |from: usize| Uuid::from_slice(&bytes[from..from + 16]).map_err(|_| InvalidSid);
        Ok(Self { instance: uuid(0)?, thread: u16::from_be_bytes([bytes[16], bytes[17]]), secret: uuid(18)? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn session_id_round_trips() {
        let sid = Sid::new(Uuid::now_v7(), 513);
        assert_eq!(sid.to_string().parse(), Ok(sid));
        assert_ne!(Sid::new(sid.instance, 513), sid);
        for wrong in ["", "x", &sid.to_string()[1..], &format!("{sid}A"), &format!("{sid}=")] {
            assert_eq!(wrong.parse::<Sid>(), Err(InvalidSid), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_on_arbitrary_text(text in "([A-Za-z0-9_-]{44,48}|.{0,60})") {
            let _ = text.parse::<Sid>();
        }
    }
}
