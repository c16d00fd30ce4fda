//! CSV exports for spreadsheets.

use appcore::{AppError, Code};
use bytes::Bytes;

/// Encodes the lines as CSV (RFC 4180).
pub fn encode<const N: usize>(lines: Vec<[String; N]>) -> Result<Bytes, AppError> {
    let mut writer = ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(Vec::new());
    for line in lines {
        writer.write_record(&line).map_err(AppError::internal)?;
    }
    let bytes = writer.into_inner().map_err(|_| AppError::from(Code::Internal))?;
    Ok(Bytes::from(bytes))
}

/// Prefixes user content with an apostrophe if a spreadsheet would interpret it as a formula.
pub fn escape_formula(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text }
}
