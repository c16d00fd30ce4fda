//! Amounts of money: integers in a currency's smallest unit, so that sums have no rounding errors.

use serde::{Deserialize, Serialize};

/// Currency of prices. Parsed case-insensitively, because Stripe uses lower case.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "UPPERCASE")]
#[strum(serialize_all = "UPPERCASE", ascii_case_insensitive, const_into_str)]
pub enum Currency {
    Aud,
    Cad,
    Eur,
    Gbp,
    Jpy,
    Krw,
    Sgd,
    Usd,
    Vnd,
}

impl Currency {
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// ISO 4217 code of the currency.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.into_str()
    }

    /// Number of decimal places.
    #[must_use]
    pub const fn decimals(self) -> u32 {
        match self {
            Self::Jpy | Self::Krw | Self::Vnd => 0,
            Self::Aud | Self::Cad | Self::Eur | Self::Gbp | Self::Sgd | Self::Usd => 2,
        }
    }
}

/// Amount in the currency's smallest unit: cents, but whole yen and dong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    pub amount: i64,
    pub currency: Currency,
}

impl Money {
    #[must_use]
    pub const fn new(amount: i64, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// Formats the amount as a decimal number, such as `12.34` or `500`.
    #[must_use]
    pub fn decimal(self) -> String {
        let decimals = self.currency.decimals() as usize;
        let (sign, digits) = (if self.amount < 0 { "-" } else { "" }, self.amount.unsigned_abs().to_string());
        if decimals == 0 {
            return format!("{sign}{digits}");
        }
        let digits = format!("{digits:0>width$}", width = decimals + 1);
        let (whole, part) = digits.split_at(digits.len() - decimals);
        format!("{sign}{whole}.{part}")
    }

    /// Parses a decimal number. Additional decimal places must be zeros.
    #[must_use]
    pub fn parse(text: &str, currency: Currency) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let decimals = currency.decimals() as usize;
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(part) || text.ends_with('.') {
            return None;
        }
        let (kept, rest) = part.split_at(part.len().min(decimals));
        if rest.bytes().any(|byte| byte != b'0') {
            return None;
        }
        let amount = format!("{whole}{kept:0<decimals$}").parse().ok()?;
        Some(Self { amount, currency })
    }
}

impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.decimal(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_parses_amounts_by_currency() {
        for (amount, currency, text) in [
            (1234, Currency::Usd, "12.34"),
            (5, Currency::Usd, "0.05"),
            (100, Currency::Eur, "1.00"),
            (500, Currency::Jpy, "500"),
            (249_000, Currency::Vnd, "249000"),
        ] {
            assert_eq!(Money::new(amount, currency).decimal(), text);
            assert_eq!(Money::parse(text, currency), Some(Money::new(amount, currency)));
        }
        assert_eq!(Money::parse("12.3", Currency::Usd), Some(Money::new(1230, Currency::Usd)));
        assert_eq!(Money::parse("500.00", Currency::Jpy), Some(Money::new(500, Currency::Jpy)));
        for (text, currency) in [
            ("", Currency::Usd),
            (".5", Currency::Usd),
            ("1.", Currency::Usd),
            ("-1", Currency::Usd),
            ("1e3", Currency::Usd),
            ("1.005", Currency::Usd),
            ("1.5", Currency::Vnd),
            ("99999999999999999999", Currency::Usd),
        ] {
            assert_eq!(Money::parse(text, currency), None, "{text} {currency}");
        }
    }

    #[test]
    fn parses_lower_case_currencies() {
        assert_eq!("vnd".parse(), Ok(Currency::Vnd));
        assert_eq!("XXX".parse::<Currency>(), Err(strum::ParseError::VariantNotFound));
    }
}
