//! Regular expressions of JSON Schema, compiled within bounds.

use regex::{Regex, RegexBuilder};

/// Maximum length of a regular expression, in bytes.
pub(super) const MAX_PATTERN_LEN: usize = 512;
/// Maximum memory for the states that a regular expression caches while it searches, in bytes.
const MAX_DFA_SIZE: usize = 64 * 1024;

/// Size class of compiled regular expressions: large ones take longer to compile and to search with.
pub(super) struct SizeClass {
    /// Maximum size of the compiled regular expression, in bytes.
    max_size: usize,
    pub(super) compile_steps: usize,
    /// Number of steps that searching one byte of text counts as.
    pub(super) steps_per_byte: usize,
}

pub(super) const SIZE_CLASSES: [SizeClass; 3] = [
    SizeClass { max_size: 2 * 1024, compile_steps: 100, steps_per_byte: 1 },
    SizeClass { max_size: 8 * 1024, compile_steps: 400, steps_per_byte: 4 },
    SizeClass { max_size: 64 * 1024, compile_steps: 3_000, steps_per_byte: 32 },
];

/// Compiles a regular expression. Returns `None` if it exceeds its size class or can't be
/// translated.
pub(super) fn compile(pattern: &str, class: &SizeClass) -> Option<Regex> {
    RegexBuilder::new(&translate(pattern)?).size_limit(class.max_size).dfa_size_limit(MAX_DFA_SIZE).build().ok()
}

/// Translates an ECMAScript regular expression for the crate `regex`.
///
/// Returns `None` if the languages differ too much, and for flags and Unicode classes, which are
/// slow to compile.
fn translate(pattern: &str) -> Option<String> {
    let mut translated = String::with_capacity(pattern.len());
    let mut is_class = false;
    let mut rest = pattern.chars();
    while let Some(char) = rest.next() {
        let following = rest.as_str();
        match char {
            '\\' => match rest.next()? {
                'd' => translated.push_str("[0-9]"),
                'D' => translated.push_str("[^0-9]"),
                'w' => translated.push_str("[A-Za-z0-9_]"),
                'W' => translated.push_str("[^A-Za-z0-9_]"),
                'b' => translated.push_str(if is_class { r"\x08" } else { r"(?-u:\b)" }),
                escaped @ ('s' | 'S' | 'n' | 'r' | 't' | 'f' | 'v' | 'x' | 'u') => translated.extend(['\\', escaped]),
                escaped if escaped.is_ascii_punctuation() && !matches!(escaped, '<' | '>') => {
                    translated.extend(['\\', escaped]);
                }
                _ => return None,
            },
            '[' if is_class => translated.push_str(r"\["),
            '[' if following.starts_with(']') || following.starts_with("^]") => return None,
            '-' if is_class && following.starts_with('-') => return None,
            '&' | '~' if is_class => translated.extend(['\\', char]),
            '{' if following.starts_with(',') => return None,
            '(' if !is_class && following.starts_with('?') && !following.starts_with("?:") => return None,
            _ => {
                is_class = (is_class || char == '[') && char != ']';
                translated.push(char);
            }
        }
    }
    Some(translated)
}
