//! CSV exports for spreadsheets.

use appcore::{AppError, Code, credits::MicroCredits};
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

/// Formats an amount in credits with all six decimals.
pub fn format_credits(amount: MicroCredits) -> String {
    let (sign, size) = (if amount.0 < 0 { "-" } else { "" }, amount.0.unsigned_abs());
    format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_exact_amounts() {
        for (amount, text) in [
            (0, "0.000000"),
            (1, "0.000001"),
            (-1, "-0.000001"),
            (-1_500_000, "-1.500000"),
            (i64::MIN, "-9223372036854.775808"),
        ] {
            assert_eq!(format_credits(MicroCredits(amount)), text);
        }
    }
}
