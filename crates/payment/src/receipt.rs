//! Receipts and credit notes as PDF, in the payer's language.
//!
//! The embedded fonts cover Latin script with all letters of Vietnamese. Other characters are shown as boxes; copying and searching
//! give the original text. Receipts of payers who read Japanese are therefore labelled in English.

use appcore::{Language, Timestamp};
use unicode_normalization::UnicodeNormalization;

use crate::{
    Money,
    pdf::{A4, FONTS, FontWeight, PdfError, PdfPage, Properties},
};

const LEFT: f32 = 56.0;
const RIGHT: f32 = A4.0 - 56.0;
/// Colour of text and lines: red, green and blue.
const INK: [u8; 3] = [28, 28, 30];
/// Maximum number of lines of a party's address.
const MAX_LINES: usize = 8;

/// Seller or buyer on a receipt.
#[derive(Clone, Debug, Default)]
pub struct Party {
    pub name: String,
    /// Lines of the address.
    pub address: String,
    pub vat_id: Option<String>,
}

/// Tax included in an amount.
#[derive(Clone, Debug)]
pub struct Tax {
    /// Name, such as `VAT`.
    pub name: String,
    /// Rate, in hundredths of a percent.
    pub rate: u32,
}

impl Tax {
    /// Tax included in an amount, in the currency's smallest unit, rounded half up.
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

/// Content of a receipt or credit note.
#[derive(Clone, Debug)]
pub struct Receipt {
    pub language: Language,
    pub number: String,
    pub date: Timestamp,
    /// Number of the receipt that this credit note is for.
    pub credits: Option<String>,
    pub seller: Party,
    pub buyer: Party,
    /// Name of the purchased plan.
    pub title: String,
    pub quantity: i64,
    /// Period that was paid for; `None` if the plan has none.
    pub period: Option<(Timestamp, Timestamp)>,
    pub amount: Money,
    pub tax: Option<Tax>,
    /// Name of the payment gateway.
    pub method: String,
}

/// Translated labels.
struct ReceiptLabels {
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

const EN: ReceiptLabels = ReceiptLabels {
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
const DE: ReceiptLabels = ReceiptLabels {
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
const ES: ReceiptLabels = ReceiptLabels {
    receipt: "Recibo",
    credit_note: "Nota de crédito",
    number: "Número",
    date: "Fecha",
    credits: "Del recibo",
    seller: "De",
    buyer: "Para",
    vat_id: "NIF-IVA",
    what: "Concepto",
    quantity: "Cantidad",
    amount: "Importe",
    net: "Base imponible",
    total: "Total",
    paid_by: "Pagado con",
    refunded_by: "Reembolsado a",
};
const FR: ReceiptLabels = ReceiptLabels {
    receipt: "Reçu",
    credit_note: "Avoir",
    number: "Numéro",
    date: "Date",
    credits: "Pour le reçu",
    seller: "De",
    buyer: "À",
    vat_id: "N° de TVA",
    what: "Désignation",
    quantity: "Quantité",
    amount: "Montant",
    net: "Hors taxes",
    total: "Total",
    paid_by: "Payé par",
    refunded_by: "Remboursé par",
};
const VI: ReceiptLabels = ReceiptLabels {
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

const fn labels(language: Language) -> &'static ReceiptLabels {
    match language {
        Language::En | Language::Ja => &EN,
        Language::De => &DE,
        Language::Es => &ES,
        Language::Fr => &FR,
        Language::Vi => &VI,
    }
}

/// Renders a receipt as PDF. The output is deterministic.
pub fn write(receipt: &Receipt) -> Result<Vec<u8>, PdfError> {
    let words = labels(receipt.language);
    let title = if receipt.credits.is_some() { words.credit_note } else { words.receipt };
    let mut sheet = Sheet { page: PdfPage::new(FONTS.as_ref().ok_or(PdfError::Fonts)?, INK) };
    sheet.draw(receipt, words, title);
    sheet.page.finish(&Properties {
        title: &format!("{title} {}", receipt.number),
        author: &visible(&receipt.seller.name),
        language: if receipt.language == Language::Ja { "en" } else { receipt.language.as_str() },
        created: receipt.date,
    })
}

struct Sheet {
    page: PdfPage,
}

impl Sheet {
    fn draw(&mut self, receipt: &Receipt, words: &ReceiptLabels, title: &str) {
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
        let beside = self.party(A4.0 / 2.0, y, words.buyer, &receipt.buyer, words);
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

    fn party(&mut self, x: f32, mut y: f32, title: &str, party: &Party, words: &ReceiptLabels) -> f32 {
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

    fn text(&mut self, at: (f32, f32), size: f32, is_bold: bool, text: &str) {
        self.page.text(at, size, weight(is_bold), text);
    }

    /// Draws text that ends at `x`.
    fn right(&mut self, (x, y): (f32, f32), size: f32, is_bold: bool, text: &str) {
        let width = self.page.font(weight(is_bold)).width(text, size);
        self.text((x - width, y), size, is_bold, text);
    }

    fn line(&mut self, y: f32) {
        self.page.rectangle((LEFT, y), RIGHT - LEFT, 0.6);
    }
}

const fn weight(is_bold: bool) -> FontWeight {
    if is_bold { FontWeight::Bold } else { FontWeight::Regular }
}

/// Composes letters and their marks (NFC), and removes control characters.
fn visible(text: &str) -> String {
    text.nfc().filter(|char| !char.is_control()).collect()
}

fn shortened(text: &str, most: usize) -> String {
    let text = visible(text);
    if text.chars().count() <= most {
        return text;
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// Formats the UTC date of a time.
fn date(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// Formats an amount with digit groups of the language.
fn amount(money: Money, language: Language) -> String {
    let text = money.decimal();
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let (group, point) = match language {
        Language::En | Language::Ja => (',', '.'),
        Language::Fr => ('\u{a0}', ','),
        Language::De | Language::Es | Language::Vi => ('.', ','),
    };
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

    fn example(language: Language) -> Receipt {
        Receipt {
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
        }
    }

    /// Text of a PDF document with single spaces.
    fn extracted(pdf: &[u8]) -> String {
        let text = pdf_extract::extract_text_from_mem(pdf).unwrap();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn renders_every_letter_in_each_language() {
        for (language, expected) in [
            (
                Language::En,
                "Receipt Number 2026-0001 Date 2027-01-15 From Natter Ltd 1 Road City VAT ID: DE1 \
                 To Nguyễn Thị Ánh Đường 12 Lý Thường Kiệt Hà Nội Description Quantity Amount Team 2 1,180,000 VND \
                 2027-01-15 – 2027-02-14 Net 1,072,727 VND VAT 10 % 107,273 VND Total 1,180,000 VND Paid by: visa 4242",
            ),
            (
                Language::De,
                "Gutschrift Nummer 2026-0001 Datum 2027-01-15 Zu Rechnung 2026-0001 Von Natter Ltd 1 Road City USt-IdNr.: DE1 \
                 An Nguyễn Thị Ánh Đường 12 Lý Thường Kiệt Hà Nội Leistung Menge Betrag Team 2 1.180.000 VND \
                 2027-01-15 – 2027-02-14 Netto 1.072.727 VND VAT 10 % 107.273 VND Gesamt 1.180.000 VND Erstattet über: visa 4242",
            ),
            (
                Language::Es,
                "Recibo Número 2026-0001 Fecha 2027-01-15 De Natter Ltd 1 Road City NIF-IVA: DE1 \
                 Para Nguyễn Thị Ánh Đường 12 Lý Thường Kiệt Hà Nội Concepto Cantidad Importe Team 2 1.180.000 VND \
                 2027-01-15 – 2027-02-14 Base imponible 1.072.727 VND VAT 10 % 107.273 VND Total 1.180.000 VND Pagado con: visa 4242",
            ),
            (
                Language::Fr,
                "Reçu Numéro 2026-0001 Date 2027-01-15 De Natter Ltd 1 Road City N° de TVA: DE1 \
                 À Nguyễn Thị Ánh Đường 12 Lý Thường Kiệt Hà Nội Désignation Quantité Montant Team 2 1 180 000 VND \
                 2027-01-15 – 2027-02-14 Hors taxes 1 072 727 VND VAT 10 % 107 273 VND Total 1 180 000 VND Payé par: visa 4242",
            ),
            (
                Language::Vi,
                "Biên nhận Số 2026-0001 Ngày 2027-01-15 Bên bán Natter Ltd 1 Road City Mã số thuế: DE1 \
                 Bên mua Nguyễn Thị Ánh Đường 12 Lý Thường Kiệt Hà Nội Nội dung Số lượng Số tiền Team 2 1.180.000 VND \
                 2027-01-15 – 2027-02-14 Trước thuế 1.072.727 VND VAT 10 % 107.273 VND Tổng cộng 1.180.000 VND \
                 Thanh toán bằng: visa 4242",
            ),
        ] {
            let pdf = write(&example(language)).unwrap();
            assert!(pdf.starts_with(b"%PDF-") && pdf.len() < 50_000, "{}", pdf.len());
            assert_eq!(extracted(&pdf), expected);
            assert!(pdf == write(&example(language)).unwrap(), "the bytes differ");
        }
        let regular = &FONTS.as_ref().unwrap().regular;
        let words = [&EN, &DE, &ES, &FR, &VI]
            .map(|words| format!("{}{}{}{}", words.receipt, words.credit_note, words.paid_by, words.net));
        for char in words.concat().chars().chain("ăâđêôơưẮẰẲẴẶỆỘỢỰỹ₫€¥–…".chars()) {
            assert!(regular.has(char), "{char} is missing");
        }
    }

    #[test]
    fn receipts_are_labelled_in_english_where_the_font_lacks_the_script() {
        assert_eq!(
            extracted(&write(&example(Language::Ja)).unwrap()),
            extracted(&write(&example(Language::En)).unwrap())
        );
    }

    #[test]
    fn long_decomposed_and_foreign_names_can_be_copied() {
        let mut receipt = example(Language::Vi);
        receipt.seller.name = "Nguye\u{302}\u{303}n Thi\u{323} A\u{301}nh Đu\u{31b}o\u{31b}\u{300}ng".to_owned();
        receipt.seller.address = "日本 Зима\nשלום 😀\nAVATAR To. (x) \\ \u{1f9}".to_owned();
        receipt.buyer.name = "Công ty Trách nhiệm Hữu hạn Một thành viên Phát triển".to_owned();
        receipt.buyer.address = (1..=12).map(|line| format!("line-{line}\n")).collect();
        let text = extracted(&write(&receipt).unwrap());
        for expected in [
            "Bên bán Nguyễn Thị Ánh Đường 日本 Зима שלום 😀 AVATAR To. (x) \\ n\u{300} Mã số thuế: DE1",
            "Bên mua Công ty Trách nhiệm Hữu hạn Một thà… line-1",
            "line-8 Nội dung",
        ] {
            assert!(text.contains(expected), "{expected} is not in {text}");
        }
    }

    #[test]
    fn groups_digits_and_includes_tax() {
        assert_eq!(amount(Money::new(1_180_000, Currency::Vnd), Language::Vi), "1.180.000 VND");
        assert_eq!(amount(Money::new(123_456, Currency::Usd), Language::En), "1,234.56 USD");
        assert_eq!(amount(Money::new(-5, Currency::Eur), Language::De), "-0,05 EUR");
        assert_eq!(amount(Money::new(123_456, Currency::Eur), Language::Fr), "1\u{a0}234,56 EUR");
        let tax = |rate| Tax { name: "VAT".to_owned(), rate };
        assert_eq!((tax(1_000).part_of(1_100), tax(1_900).part_of(11_900), tax(0).part_of(100)), (100, 1_900, 0));
        assert_eq!((tax(810).percent(), tax(1_000).percent()), ("VAT 8.10 %".to_owned(), "VAT 10 %".to_owned()));
    }
}
