//! CSV tables: one line per row, with the column names, so that each row can be understood without
//! the others.

use csv::ReaderBuilder;

use crate::Section;

pub(crate) fn read(text: &str, delimiter: u8) -> Vec<Section> {
    let delimiter = if delimiter == b',' { likely_delimiter(text) } else { delimiter };
    let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let Ok(names) = reader.headers().cloned() else { return crate::plain::read(text) };
    let mut lines = String::with_capacity(text.len() * 2);
    for row in reader.records() {
        // An invalid row doesn't affect the others.
        let Ok(row) = row else { continue };
        push_row(&mut lines, row.iter(), |place| names.get(place));
        if lines.len() > crate::MAX_TEXT {
            break;
        }
    }
    if lines.trim().is_empty() {
        // There are only column names, so the file is read as plain text.
        return crate::plain::read(text);
    }
    vec![Section { text: lines, line: Some(2), ..Section::default() }]
}

/// Appends a line with the non-blank cells, each with its column name.
pub(crate) fn push_row<'a>(
    lines: &mut String,
    cells: impl Iterator<Item = &'a str>,
    name: impl Fn(usize) -> Option<&'a str>,
) {
    let mut is_first = true;
    for (place, cell) in cells.enumerate().filter(|(_, cell)| !cell.trim().is_empty()) {
        if !is_first {
            lines.push_str("; ");
        }
        is_first = false;
        if let Some(name) = name(place).map(str::trim).filter(|name| !name.is_empty()) {
            push_in_line(lines, name);
            lines.push_str(": ");
        }
        push_in_line(lines, cell.trim());
    }
    lines.push('\n');
}

/// Guesses the delimiter: in many locales, spreadsheets write semicolons instead of commas.
fn likely_delimiter(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or_default();
    let count = |delimiter: char| first.matches(delimiter).count();
    if count(';') > count(',') { b';' } else { b',' }
}

fn push_in_line(lines: &mut String, text: &str) {
    lines.extend(text.chars().map(|char| if char == '\n' || char == '\r' { ' ' } else { char }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_columns_in_each_row() {
        let found = read("Name;Stadt\nAnna;\"Hà Nội\nVN\"\n;\nBen;;mehr\n", b',');
        assert_eq!(found[0].text, "Name: Anna; Stadt: Hà Nội VN\n\nName: Ben; mehr\n");
        assert_eq!(found[0].line, Some(2));
        assert_eq!(read("a,b", b',')[0].text, "a,b");
    }
}
