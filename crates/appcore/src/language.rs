//! Languages of mails, receipts and the page of banned addresses. A new language needs a variant here and a file of texts in
//! `identity::mail`, labels of receipts and texts of the page.

/// Supported language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    #[default]
    En,
    De,
    Es,
    Fr,
    Ja,
    Vi,
}

impl Language {
    pub const ALL: [Self; 6] = [Self::En, Self::De, Self::Es, Self::Fr, Self::Ja, Self::Vi];

    /// RFC 5646 tag, as stored and as sent in `Content-Language`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Es => "es",
            Self::Fr => "fr",
            Self::Ja => "ja",
            Self::Vi => "vi",
        }
    }

    /// Language of a tag such as `de-AT`, if it is supported.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.as_str().eq_ignore_ascii_case(primary))
    }

    /// Parses a stored tag. An unknown tag yields the default language.
    #[must_use]
    pub fn from_stored_tag(tag: &str) -> Self {
        Self::from_tag(tag).unwrap_or_default()
    }

    /// Selects the supported language that an `Accept-Language` header prefers (RFC 9110, section
    /// 12.5.4).
    #[must_use]
    pub fn from_accept_language(header: &str) -> Self {
        /// Maximum number of languages that are read from a header, which bounds the work.
        const MAX_LANGUAGES: usize = 20;
        let mut best = (0.0, Self::default());
        for part in header.split(',').take(MAX_LANGUAGES) {
            let (tag, weight) = part.split_once(';').unwrap_or((part, ""));
            let weight = weight.trim().strip_prefix("q=").and_then(|text| text.parse::<f32>().ok()).unwrap_or(1.0);
            // Of languages with equal weights, the first one is selected.
            if let Some(language) = Self::from_tag(tag.trim()).filter(|_| weight > best.0 && weight <= 1.0) {
                best = (weight, language);
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selects_the_preferred_supported_language() {
        for (header, expected) in [
            ("de", Language::De),
            ("de-AT,de;q=0.9,en;q=0.8", Language::De),
            ("it-IT,it;q=0.9,vi;q=0.8,en;q=0.7", Language::Vi),
            ("ja-JP, ja;q=0.9, en;q=0.8", Language::Ja),
            ("en;q=0.1, de;q=0.5", Language::De),
            ("en, de", Language::En),
            ("VI_VN", Language::Vi),
            ("de;q=0, en;q=0.1", Language::En),
            ("de;q=7, *", Language::En),
            ("", Language::En),
            ("\u{0};;q=,,", Language::En),
        ] {
            assert_eq!(Language::from_accept_language(header), expected, "{header}");
        }
    }
}
