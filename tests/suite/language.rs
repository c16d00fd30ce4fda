//! Counts names, doc comments and log messages that break the language rules of
//! `docs/contributing.md`, per crate. `language_budget.txt` has the remaining counts. A count may
//! fall but must not rise; `NATTER_UPDATE=1` lowers the counts in the file.

use std::{collections::BTreeMap, fs};

use crate::architecture::{root, sources};

/// Words at the start of a doc comment that don't name the item.
const VAGUE_FIRST_WORDS: [&str; 18] = [
    "What", "Who", "Whom", "Whose", "Whoever", "Whatever", "Such", "It", "Its", "Those", "They", "One", "Somebody",
    "Nobody", "Nothing", "By", "Of", "Not:",
];
/// Verbs that don't state what a function does.
const VAGUE_VERBS: [&str; 12] =
    ["tell", "take", "keep", "ask", "begin", "end", "put", "forget", "look", "hear", "note", "go"];
/// Names of constants that don't state what they limit.
const VAGUE_CONSTANTS: [&str; 9] =
    ["PATIENCE", "MOST", "LONGEST", "LOOK", "LEAST", "ENOUGH", "OFTEN", "SOON", "A_WHILE"];
/// Words at the start of a log message that don't name its subject.
const VAGUE_LOG_WORDS: [&str; 9] = ["it", "what", "nobody", "nothing", "somebody", "who", "whoever", "those", "they"];
const LOG_MACROS: [&str; 5] = ["error!(", "warn!(", "info!(", "debug!(", "trace!("];

#[test]
fn language_offences_stay_within_their_budget() {
    let folders = ["src", "crates", "macro", "migration", "tests", "bench"].map(|folder| sources(&root().join(folder)));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in folders.iter().flatten() {
        let relative = file.strip_prefix(root()).unwrap().display().to_string();
        let parts: Vec<&str> = relative.split('/').collect();
        let area = if parts[0] == "crates" { parts[1] } else { parts[0] };
        let text = fs::read_to_string(file).unwrap();
        for (line, rule) in offences(&text) {
            let key = format!("{area} {rule}");
            *counts.entry(key.clone()).or_default() += 1;
            places.entry(key).or_default().push(format!("{relative}:{line}"));
        }
    }

    let path = root().join("tests/suite/language_budget.txt");
    let mut budget: BTreeMap<String, usize> = fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(key, count)| (key.to_owned(), count.parse().unwrap()))
        .collect();
    if std::env::var_os("NATTER_UPDATE").is_some() {
        budget.retain(|key, count| {
            *count = (*count).min(counts.get(key).copied().unwrap_or(0));
            *count > 0
        });
        let lines: String = budget.iter().map(|(key, count)| format!("{key} {count}\n")).collect();
        fs::write(&path, lines).unwrap();
    }
    for (key, count) in counts {
        let allowed = budget.get(&key).copied().unwrap_or(0);
        assert!(count <= allowed, "{key}: {count} offences, {allowed} allowed\n{}", places[&key].join("\n"));
    }
}

/// Returns the lines that break a rule, each with the name of the rule.
fn offences(text: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    let mut in_doc = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let doc = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        if let Some(doc) = doc
            && !in_doc
            && VAGUE_FIRST_WORDS.contains(&doc.trim().split([' ', ',']).next().unwrap())
        {
            found.push((number + 1, "doc"));
        }
        in_doc = doc.is_some();
        if let Some(name) = declared(line, "fn ")
            && VAGUE_VERBS.contains(&name.split('_').next().unwrap())
        {
            found.push((number + 1, "function"));
        }
        if let Some(name) = declared(line, "const ").or_else(|| declared(line, "static "))
            && VAGUE_CONSTANTS.contains(&name)
        {
            found.push((number + 1, "constant"));
        }
    }
    for name in LOG_MACROS {
        for (start, _) in text.match_indices(name) {
            let arguments = text[start..].split(';').next().unwrap();
            let message = arguments.split('"').nth(1).unwrap_or_default();
            if VAGUE_LOG_WORDS.contains(&message.split(' ').next().unwrap()) {
                found.push((text[..start].lines().count(), "log"));
            }
        }
    }
    found
}

/// Returns the name that a line declares after `keyword`, whatever visibility or qualifier precedes
/// it.
fn declared<'a>(line: &'a str, keyword: &str) -> Option<&'a str> {
    let (before, after) = line.split_once(keyword)?;
    let is_declaration = before.split_whitespace().all(|word| {
        word.starts_with("pub")
            || ["async", "const", "unsafe", "extern", "default"].contains(&word)
            || word.ends_with(')')
    });
    let name = after.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()?;
    (is_declaration && !name.is_empty()).then_some(name)
}
