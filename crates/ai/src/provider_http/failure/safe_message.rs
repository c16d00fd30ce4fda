//! A provider's message, with anything that looks like a key, an account or an address removed.

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafeMessage {
    pub message: String,
    /// Name of the invalid field.
    pub param: Option<String>,
    /// Error code of the provider.
    pub code: Option<String>,
}

/// Maximum length of a message, in characters.
const MAX_MESSAGE_LEN: usize = 1_000;
const MAX_CODE_LEN: usize = 64;
/// Prefixes of provider keys, and the minimum number of characters after them.
const KEY_PREFIXES: [&str; 2] = ["sk-", "AIza"];
const MIN_KEY_LEN: usize = 16;

/// True if a word contains a key: the prefix is not within another word (`task-runner`), and enough
/// characters follow.
fn has_key(word: &str) -> bool {
    let is_of_key = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '*' | '.');
    KEY_PREFIXES.iter().any(|mark| {
        word.match_indices(mark).any(|(at, _)| {
            let is_begun = word[..at].chars().next_back().is_some_and(|letter| letter.is_alphanumeric());
            let letters = word[at + mark.len()..].chars().take_while(|letter| is_of_key(*letter)).count();
            !is_begun && letters >= MIN_KEY_LEN
        })
    })
}

impl SafeMessage {
    /// Removes anything that looks like a key, an account or an address from a message.
    pub(super) fn sanitize(message: &str, param: Option<&str>, code: Option<&str>) -> Option<Self> {
        let is_account = |word: &str| word.strip_prefix("org-").is_some_and(|id| id.len() > 8);
        let is_secret = |word: &str| word.contains("://") || has_key(word) || is_account(word);
        let words: Vec<&str> =
            message.split(' ').map(|word| if is_secret(word) { "[removed]" } else { word }).collect();
        let message: String = words.join(" ").chars().take(MAX_MESSAGE_LEN).collect();
        let is_plain = |code: &&str| {
            let letters = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
            letters && code.len() <= MAX_CODE_LEN && !has_key(code)
        };
        let code = code.filter(is_plain).map(str::to_owned);
        (!message.trim().is_empty()).then(|| Self { message, param: param.map(str::to_owned), code })
    }
}
