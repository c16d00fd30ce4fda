//! Receipts and credit notes as PDF, in the payer's language.
//!
//! The fonts are a part of the program: Latin with all that Vietnamese needs. What they don't have is shown as a box.

use std::sync::LazyLock;

use appcore::{Language, Timestamp};
use krilla::{
    Document,
    color::rgb,
    geom::{PathBuilder, Point},
    metadata::Metadata,
    num::NormalizedF32,
    page::PageSettings,
    paint::Fill,
    surface::Surface,
    text::{Font, TextDirection},
};
use ttf_parser::Face;

use crate::Money;

const REGULAR: &[u8] = include_bytes!("../fonts/DejaVuSans.ttf");
const BOLD: &[u8] = include_bytes!("../fonts/DejaVuSans-Bold.ttf");
/// A4, in points.
const PAGE: (f32, f32) = (595.0, 842.0);
const LEFT: f32 = 56.0;
const RIGHT: f32 = PAGE.0 - 56.0;
/// The longest text of a party's that is shown.
const MAX_LINES: usize = 8;

static FACES: LazyLock<Option<(Face<'static>, Face<'static>)>> =
    LazyLock::new(|| Some((Face::parse(REGULAR, 0).ok()?, Face::parse(BOLD, 0).ok()?)));

/// One of the two sides.
#[derive(Clone, Debug, Default)]
pub struct Party {
    pub name: String,
    /// Lines.
    pub address: String,
    pub vat_id: Option<String>,
}

/// A tax that is part of an amount.
#[derive(Clone, Debug)]
pub struct Tax {
    /// Such as `VAT`.
    pub name: String,
    /// In hundredths of a percent.
    pub rate: u32,
}

impl Tax {
    /// What of an amount is the tax, in the currency's smallest unit, half of it rounded up.
    #[must_use]
    pub fn part_of(&self, amount: i64) -> i64 {
        let (amount, rate) = (i128::from(amount), i128::from(self.rate));
        let part = (amount * rate * 2 + 10_000 + rate) / ((10_000 + rate) * 2);
        i64::try_from(part).unwrap_or(i64::MAX)
    }

    fn percent(&self) -> String {
        let (whole, part) = (self.rate / 100, self.rate % 100);
        let text = if part == 0 { whole.to_string() } else { format!("{whole}.{part:02}") };
        format!("{} {text} %", self.name)
    }
}

/// What a receipt says.
#[derive(Clone, Debug)]
pub struct Receipt {
    pub language: Language,
    pub number: String,
    pub date: Timestamp,
    /// The receipt that a credit note takes back a part of.
    pub credits: Option<String>,
    pub seller: Party,
    pub buyer: Party,
    /// What was bought.
    pub title: String,
    pub quantity: i64,
    /// The period that it is for.
    pub period: Option<(Timestamp, Timestamp)>,
    pub amount: Money,
    pub tax: Option<Tax>,
    /// How it was paid.
    pub method: String,
}

/// The words on it.
struct Words {
    receipt: &'static str,
    credit_note: &'static str,
    number: &'static str,
    date: &'static str,
    credits: &'static str,
    seller: &'static str,
    buyer: &'static str,
    vat_id: &'static str,
    what: &'static str,
    quantity: &'static str,
    amount: &'static str,
    net: &'static str,
    total: &'static str,
    paid_by: &'static str,
    refunded_by: &'static str,
}

const EN: Words = Words {
    receipt: "Receipt",
    credit_note: "Credit note",
    number: "Number",
    date: "Date",
    credits: "For receipt",
    seller: "From",
    buyer: "To",
    vat_id: "VAT ID",
    what: "Description",
    quantity: "Quantity",
    amount: "Amount",
    net: "Net",
    total: "Total",
    paid_by: "Paid by",
    refunded_by: "Refunded by",
};
const DE: Words = Words {
    receipt: "Rechnung",
    credit_note: "Gutschrift",
    number: "Nummer",
    date: "Datum",
    credits: "Zu Rechnung",
    seller: "Von",
    buyer: "An",
    vat_id: "USt-IdNr.",
    what: "Leistung",
    quantity: "Menge",
    amount: "Betrag",
    net: "Netto",
    total: "Gesamt",
    paid_by: "Bezahlt mit",
    refunded_by: "Erstattet über",
};
const VI: Words = Words {
    receipt: "Biên nhận",
    credit_note: "Phiếu hoàn tiền",
    number: "Số",
    date: "Ngày",
    credits: "Cho biên nhận",
    seller: "Bên bán",
    buyer: "Bên mua",
    vat_id: "Mã số thuế",
    what: "Nội dung",
    quantity: "Số lượng",
    amount: "Số tiền",
    net: "Trước thuế",
    total: "Tổng cộng",
    paid_by: "Thanh toán bằng",
    refunded_by: "Hoàn tiền qua",
};

const fn words(language: Language) -> &'static Words {
    match language {
        Language::En => &EN,
        Language::De => &DE,
        Language::Vi => &VI,
    }
}

/// Why there is no PDF.
#[derive(Debug, thiserror::Error)]
#[error("the receipt can't be written: {0}")]
pub struct Unwritten(&'static str);

/// Writes a receipt.
pub fn write(receipt: &Receipt) -> Result<Vec<u8>, Unwritten> {
    let words = words(receipt.language);
    let font = |data: &'static [u8]| Font::new(data.into(), 0).ok_or(Unwritten("a font is broken"));
    let mut document = Document::new();
    let settings = PageSettings::from_wh(PAGE.0, PAGE.1).ok_or(Unwritten("there is no such page"))?;
    let title = if receipt.credits.is_some() { words.credit_note } else { words.receipt };
    {
        let mut page = document.start_page_with(settings);
        {
            let mut sheet = Sheet { surface: page.surface(), regular: font(REGULAR)?, bold: font(BOLD)? };
            sheet.draw(receipt, words, title);
            sheet.surface.finish();
        }
        page.finish();
    }
    let metadata = Metadata::new()
        .title(format!("{title} {}", receipt.number))
        .language(receipt.language.as_str().to_owned())
        .creator("Natter".to_owned());
    document.set_metadata(metadata);
    document.finish().map_err(|_| Unwritten("it can't be put together"))
}

struct Sheet<'a> {
    surface: Surface<'a>,
    regular: Font,
    bold: Font,
}

impl Sheet<'_> {
    fn draw(&mut self, receipt: &Receipt, words: &Words, title: &str) {
        self.text((LEFT, 84.0), 22.0, true, title);
        let mut y = 112.0;
        let mut facts = vec![(words.number, receipt.number.clone()), (words.date, date(receipt.date))];
        facts.extend(receipt.credits.clone().map(|number| (words.credits, number)));
        for (name, value) in facts {
            self.text((LEFT, y), 9.5, false, name);
            self.text((LEFT + 110.0, y), 9.5, true, &value);
            y += 15.0;
        }
        y += 21.0;
        let below = self.party(LEFT, y, words.seller, &receipt.seller, words);
        let beside = self.party(PAGE.0 / 2.0, y, words.buyer, &receipt.buyer, words);
        y = below.max(beside) + 24.0;
        self.text((LEFT, y), 9.5, true, words.what);
        self.right((400.0, y), 9.5, true, words.quantity);
        self.right((RIGHT, y), 9.5, true, words.amount);
        self.line(y + 6.0);
        y += 24.0;
        let price = amount(receipt.amount, receipt.language);
        self.text((LEFT, y), 9.5, false, &shortened(&receipt.title, 48));
        self.right((400.0, y), 9.5, false, &receipt.quantity.to_string());
        self.right((RIGHT, y), 9.5, false, &price);
        if let Some((start, end)) = receipt.period {
            y += 14.0;
            self.text((LEFT, y), 8.5, false, &format!("{} – {}", date(start), date(end)));
        }
        self.line(y + 10.0);
        y += 30.0;
        if let Some(tax) = receipt.tax.as_ref().filter(|tax| tax.rate > 0) {
            let part = tax.part_of(receipt.amount.amount);
            let currency = receipt.amount.currency;
            for (name, part) in [(words.net.to_owned(), receipt.amount.amount - part), (tax.percent(), part)] {
                self.text((340.0, y), 9.5, false, &name);
                self.right((RIGHT, y), 9.5, false, &amount(Money::new(part, currency), receipt.language));
                y += 16.0;
            }
        }
        self.text((340.0, y), 11.0, true, words.total);
        self.right((RIGHT, y), 11.0, true, &price);
        y += 40.0;
        let how = if receipt.credits.is_some() { words.refunded_by } else { words.paid_by };
        self.text((LEFT, y), 9.5, false, &format!("{how}: {}", shortened(&receipt.method, 60)));
    }

    fn party(&mut self, x: f32, mut y: f32, title: &str, party: &Party, words: &Words) -> f32 {
        self.text((x, y), 8.5, false, title);
        y += 15.0;
        self.text((x, y), 10.5, true, &shortened(&party.name, 36));
        let vat_id = party.vat_id.as_ref().map(|id| format!("{}: {id}", words.vat_id));
        let lines = party.address.lines().take(MAX_LINES).map(str::to_owned).chain(vat_id);
        for line in lines {
            y += 14.0;
            self.text((x, y), 9.5, false, &shortened(&line, 42));
        }
        y
    }

    fn text(&mut self, (x, y): (f32, f32), size: f32, is_bold: bool, text: &str) {
        let font = if is_bold { self.bold.clone() } else { self.regular.clone() };
        self.surface.set_fill(Some(ink()));
        self.surface.draw_text(Point::from_xy(x, y), font, size, text, false, TextDirection::LeftToRight);
    }

    /// Text that ends there.
    fn right(&mut self, (x, y): (f32, f32), size: f32, is_bold: bool, text: &str) {
        self.text((x - width(text, size, is_bold), y), size, is_bold, text);
    }

    fn line(&mut self, y: f32) {
        let mut path = PathBuilder::new();
        path.move_to(LEFT, y);
        path.line_to(RIGHT, y);
        path.line_to(RIGHT, y + 0.6);
        path.line_to(LEFT, y + 0.6);
        path.close();
        if let Some(path) = path.finish() {
            self.surface.set_fill(Some(ink()));
            self.surface.draw_path(&path);
        }
    }
}

fn ink() -> Fill {
    Fill {
        paint: rgb::Color::new(28, 28, 30).into(),
        opacity: NormalizedF32::ONE,
        rule: krilla::paint::FillRule::default(),
    }
}

fn width(text: &str, size: f32, is_bold: bool) -> f32 {
    let Some((regular, bold)) = FACES.as_ref() else { return 0.0 };
    let face = if is_bold { bold } else { regular };
    let advance = |char| face.glyph_index(char).and_then(|glyph| face.glyph_hor_advance(glyph)).unwrap_or(600);
    let units: f32 = text.chars().map(|char| f32::from(advance(char))).sum();
    units * size / f32::from(face.units_per_em())
}

fn shortened(text: &str, most: usize) -> String {
    let text: String = text.chars().filter(|char| !char.is_control()).collect();
    if text.chars().count() <= most {
        return text;
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// The day, in UTC.
fn date(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// With groups of three digits, as the language writes them.
fn amount(money: Money, language: Language) -> String {
    let text = money.decimal();
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let (group, point) = if language == Language::En { (',', '.') } else { ('.', ',') };
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(group);
        }
        grouped.push(digit);
    }
    let part = if part.is_empty() { String::new() } else { format!("{point}{part}") };
    format!("{sign}{grouped}{part} {}", money.currency)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Currency;

    #[test]
    fn a_receipt_is_written_in_each_language_with_every_letter_of_it() {
        for language in Language::ALL {
            let receipt = Receipt {
                language,
                number: "2026-0001".to_owned(),
                date: Timestamp(1_800_000_000_000),
                credits: (language == Language::De).then(|| "2026-0001".to_owned()),
                seller: Party {
                    name: "Natter Ltd".to_owned(),
                    address: "1 Road\nCity".to_owned(),
                    vat_id: Some("DE1".to_owned()),
                },
                buyer: Party {
                    name: "Nguyễn Thị Ánh Đường".to_owned(),
                    address: "12 Lý Thường Kiệt\nHà Nội".to_owned(),
                    vat_id: None,
                },
                title: "Team".to_owned(),
                quantity: 2,
                period: Some((Timestamp(1_800_000_000_000), Timestamp(1_802_600_000_000))),
                amount: Money::new(1_180_000, Currency::Vnd),
                tax: Some(Tax { name: "VAT".to_owned(), rate: 1_000 }),
                method: "visa 4242".to_owned(),
            };
            let pdf = write(&receipt).unwrap();
            assert!(pdf.starts_with(b"%PDF-") && pdf.len() < 200_000, "{}", pdf.len());
        }
        let (regular, _) = FACES.as_ref().unwrap();
        let words = [&EN, &DE, &VI]
            .map(|words| format!("{}{}{}{}", words.receipt, words.credit_note, words.paid_by, words.net));
        for char in words.concat().chars().chain("ăâđêôơưẮẰẲẴẶỆỘỢỰỹ₫€¥–…".chars()) {
            assert!(regular.glyph_index(char).is_some(), "{char} is missing");
        }
    }

    #[test]
    fn amounts_are_grouped_and_the_tax_is_a_part_of_them() {
        assert_eq!(amount(Money::new(1_180_000, Currency::Vnd), Language::Vi), "1.180.000 VND");
        assert_eq!(amount(Money::new(123_456, Currency::Usd), Language::En), "1,234.56 USD");
        assert_eq!(amount(Money::new(-5, Currency::Eur), Language::De), "-0,05 EUR");
        let tax = |rate| Tax { name: "VAT".to_owned(), rate };
        assert_eq!((tax(1_000).part_of(1_100), tax(1_900).part_of(11_900), tax(0).part_of(100)), (100, 1_900, 0));
        assert_eq!((tax(810).percent(), tax(1_000).percent()), ("VAT 8.10 %".to_owned(), "VAT 10 %".to_owned()));
    }
}
