//! Keys of settings, as written in the file and in the environment.

use std::fmt;

/// Prefix of the environment variables that are settings.
pub(super) const PREFIX: &str = "NATTER__";

/// Key of a setting, such as `server.port`, split into its parts. A part may contain dots, as the
/// name of a model does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Vec<String>);

impl Key {
    pub fn new(parts: Vec<String>) -> Self {
        Self(parts)
    }

    /// Key of a setting whose pattern contains no `*`.
    pub fn from_pattern(pattern: &str) -> Self {
        Self(pattern.split('.').map(str::to_owned).collect())
    }

    /// Key that an environment variable sets: `NATTER__SERVER__PORT` sets `server.port`. Returns
    /// `None` for variables without our prefix.
    pub fn from_variable(variable: &str) -> Option<Self> {
        let name = variable.strip_prefix(PREFIX)?;
        Some(Self(name.split("__").map(str::to_lowercase).collect()))
    }

    pub fn matches(&self, pattern: &str) -> bool {
        let mut wanted = pattern.split('.');
        let fits = self.0.iter().all(|part| match wanted.next() {
            Some("*") => !part.is_empty(),
            Some(name) => name == part,
            None => false,
        });
        fits && wanted.next().is_none()
    }

    pub fn parts(&self) -> &[String] {
        &self.0
    }

    /// Key of the secret that the file of this `_file` setting contains: for `x.key_file`, this is
    /// `x.key`.
    pub fn file_setting_target(&self) -> Option<Self> {
        let (last, parents) = self.0.split_last()?;
        let name = last.strip_suffix("_file")?;
        let mut parts = parents.to_vec();
        parts.push(name.to_owned());
        Some(Self(parts))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, part) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(".")?;
            }
            let bare = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
            if bare && !part.is_empty() { f.write_str(part)? } else { write!(f, "{part:?}")? }
        }
        Ok(())
    }
}
