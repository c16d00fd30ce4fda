//! Spreadsheets of Excel and OpenDocument: one section per sheet, and in it one line per row, with
//! the column names.

use std::io::Cursor;

use calamine::{Data, ExcelDateTime, Ods, Range, Reader, Xls, XlsError, Xlsb, Xlsx};

use crate::{
    ExtractError, MAX_TEXT, Section,
    archive::{Archive, is_compound, is_encrypted},
    open_document, table,
};

pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Section>, ExtractError> {
    if is_encrypted(bytes) {
        return Err(ExtractError::Protected);
    }
    if is_compound(bytes) {
        return match Xls::new(Cursor::new(bytes)) {
            Ok(book) => sheets(book),
            Err(XlsError::Password) => Err(ExtractError::Protected),
            Err(_) => Err(ExtractError::Damaged),
        };
    }
    let mut archive = Archive::open(bytes)?;
    if archive.has(open_document::CONTENT) {
        open_document::reject_encrypted(&mut archive)?;
        sheets(Ods::new(Cursor::new(bytes)).map_err(|_| ExtractError::Damaged)?)
    } else if archive.has("xl/workbook.bin") {
        sheets(Xlsb::new(Cursor::new(bytes)).map_err(|_| ExtractError::Damaged)?)
    } else {
        sheets(Xlsx::new(Cursor::new(bytes)).map_err(|_| ExtractError::Damaged)?)
    }
}

fn sheets<'a, B: Reader<Cursor<&'a [u8]>>>(mut book: B) -> Result<Vec<Section>, ExtractError> {
    let (mut found, mut length) = (Vec::new(), 0);
    for name in book.sheet_names() {
        // Skips charts: they count as sheets but have no cells.
        let Ok(cells) = book.worksheet_range(&name) else { continue };
        let text = lines(&cells);
        length += text.len();
        if length > MAX_TEXT {
            return Err(ExtractError::TooLong);
        }
        found.push(Section { text, heading: Some(name), ..Section::default() });
    }
    Ok(found)
}

/// Writes the rows as text. The first row with several cells contains the column names; rows above
/// it are titles.
fn lines(cells: &Range<Data>) -> String {
    let mut lines = String::new();
    let mut names: Option<Vec<String>> = None;
    let mut has_rows = false;
    for row in cells.rows() {
        let said: Vec<String> = row.iter().map(display_value).collect();
        match said.iter().filter(|cell| !cell.trim().is_empty()).count() {
            0 => {}
            1 if names.is_none() => table::push_row(&mut lines, said.iter().map(String::as_str), |_| None),
            _ => match &names {
                None => names = Some(said),
                Some(names) => {
                    has_rows = true;
                    let name = |place: usize| names.get(place).map(String::as_str);
                    table::push_row(&mut lines, said.iter().map(String::as_str), name);
                }
            },
        }
        if lines.len() > MAX_TEXT {
            break;
        }
    }
    // There are no rows below the column names, so the names are the content.
    if let Some(names) = names.filter(|_| !has_rows) {
        table::push_row(&mut lines, names.iter().map(String::as_str), |_| None);
    }
    lines
}

/// Returns approximately how a spreadsheet displays a value. Number formats are not read.
fn display_value(cell: &Data) -> String {
    match cell {
        Data::Float(number) => round_significant(*number),
        Data::DateTime(moment) if moment.is_datetime() => format_datetime(moment),
        other => other.to_string(),
    }
}

/// Rounds a number to 15 significant digits, the precision of spreadsheets.
fn round_significant(number: f64) -> String {
    format!("{number:.14e}").parse().unwrap_or(number).to_string()
}

fn format_datetime(moment: &ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
    let time =
        if second == 0 { format!("{hour:02}:{minute:02}") } else { format!("{hour:02}:{minute:02}:{second:02}") };
    let days = moment.as_f64();
    if days < 1.0 {
        time
    } else if days.fract() == 0.0 {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{year:04}-{month:02}-{day:02} {time}")
    }
}

#[cfg(test)]
mod tests {
    use calamine::ExcelDateTimeType;

    use super::*;
    use crate::archive::tests::packed;

    const WORKBOOK: &str = r#"<?xml version="1.0"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"
        xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>
        <sheet name="Stock" sheetId="1" r:id="rId1"/></sheets></workbook>"#;
    const RELATIONS: &str = r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
        <Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"
        Target="worksheets/sheet1.xml"/></Relationships>"#;
    const PACKAGE: &str = r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
        <Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
        Target="xl/workbook.xml"/></Relationships>"#;

    #[test]
    fn names_the_columns_in_each_row() {
        let text = |place: &str, said: &str| format!(r#"<c r="{place}" t="inlineStr"><is><t>{said}</t></is></c>"#);
        let sheet = format!(
            r#"<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>
            <row r="1">{}</row><row r="3">{}{}</row><row r="4">{}<c r="B4"><v>0.30000000000000004</v></c></row></sheetData></worksheet>"#,
            text("A1", "Depot"),
            text("A3", "Item"),
            text("B3", "Price"),
            text("A4", "Nuts &amp; bolts"),
        );
        let found = read(&packed(&[
            ("_rels/.rels", PACKAGE),
            ("xl/workbook.xml", WORKBOOK),
            ("xl/_rels/workbook.xml.rels", RELATIONS),
            ("xl/worksheets/sheet1.xml", &sheet),
        ]))
        .unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].heading.as_deref(), Some("Stock"));
        assert_eq!(found[0].text, "Depot\nItem: Nuts & bolts; Price: 0.3\n");
    }

    #[test]
    fn formats_dates_and_times() {
        for (days, shown) in [(45_943.0, "2025-10-13"), (45_943.5, "2025-10-13 12:00"), (0.25, "06:00")] {
            let moment = ExcelDateTime::new(days, ExcelDateTimeType::DateTime, false);
            assert_eq!(display_value(&Data::DateTime(moment)), shown);
        }
        assert_eq!(display_value(&Data::Float(1200.0)), "1200");
    }

    #[test]
    fn rejects_other_files() {
        assert_eq!(read(b"PK"), Err(ExtractError::Damaged));
        assert_eq!(read(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), Err(ExtractError::Damaged));
    }
}
