//! Output of commands: a text for people, or JSON.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::bail;
use clap::Args;
use serde_json::Value;

use crate::progress::Progress;

/// Options of all commands.
#[derive(Args, Clone, Copy)]
pub struct Output {
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    /// Print only errors
    #[arg(long, global = true)]
    quiet: bool,
    /// Do it without asking
    #[arg(long, global = true)]
    yes: bool,
}

/// Column of a table: its title, and the path of its value in an item, as a JSON pointer.
pub type Column = (&'static str, &'static str);

impl Output {
    /// Prints a text, or nothing if the output is quiet.
    pub fn text(self, text: &str) -> anyhow::Result<()> {
        if self.quiet { Ok(()) } else { write(text) }
    }

    /// Prints a result: a text, or its JSON.
    pub fn result(self, text: &str, json: &Value) -> anyhow::Result<()> {
        if self.json { self.text(&serde_json::to_string_pretty(json)?) } else { self.text(text) }
    }

    /// Progress of a long command. It is shown to people only.
    pub fn progress(self) -> Progress {
        if self.quiet || self.json { Progress::hidden() } else { Progress::at_terminal() }
    }

    /// Prints a list: a table, or its JSON.
    pub fn list(self, items: Vec<Value>, columns: &[Column]) -> anyhow::Result<()> {
        let table = if self.json { String::new() } else { table(&items, columns) };
        self.result(&table, &Value::Array(items))
    }

    /// Prints an object: one line per field, or its JSON.
    pub fn object(self, object: &Value) -> anyhow::Result<()> {
        let fields = object.as_object().into_iter().flatten();
        let lines: String = fields.map(|(name, value)| format!("{name}: {}\n", plain(value))).collect();
        self.result(&lines, object)
    }

    /// Asks for a confirmation at a terminal. Without a terminal, fails unless `--yes` was given.
    /// `loss` says what the command deletes or costs, as the beginning of a sentence.
    pub fn confirm(self, loss: &str) -> anyhow::Result<()> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            bail!("{loss}. Nothing was done: add --yes to do it.");
        }
        let mut terminal = io::stderr().lock();
        write!(terminal, "{loss}. Continue? [y/N] ")?;
        terminal.flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        if !matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
            bail!("Nothing was done.");
        }
        Ok(())
    }
}

fn write(text: &str) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    if !text.is_empty() && !text.ends_with('\n') {
        output.write_all(b"\n")?;
    }
    Ok(output.flush()?)
}

fn table(items: &[Value], columns: &[Column]) -> String {
    let titles: Vec<String> = columns.iter().map(|(title, _)| title.to_uppercase()).collect();
    let cells =
        |item: &Value| columns.iter().map(|(_, path)| item.pointer(path).map_or_else(String::new, plain)).collect();
    let rows: Vec<Vec<String>> = std::iter::once(titles).chain(items.iter().map(cells)).collect();
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let line: String = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}  ")).collect();
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Value in one line.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        // Control characters of a name could change the terminal.
        Value::String(text) => text.chars().filter(|character| !character.is_control()).collect(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn aligns_columns_and_removes_control_characters() {
        let items = [json!({ "a": { "b": "x\u{1b}[31m" }, "c": null }), json!({ "a": { "b": "longer name" }, "c": 7 })];
        assert_eq!(
            table(&items, &[("name", "/a/b"), ("count", "/c"), ("missing", "/d")]),
            "NAME         COUNT  MISSING\nx[31m        -\nlonger name  7\n"
        );
    }
}
