//! Receipts, credit notes and billing details.
//!
//! The buyer's details are stored with the payment when it is paid, so a receipt doesn't change afterwards.

use ::payment::{Money, Party, Receipt, RefundState, Tax};
use appcore::{AppError, Code, Language, auth::Principal, view::BillingDetails};
use dbcontext::{
    entity::payment,
    query::{payments as rows, plans as plan_rows, subscriptions as subscription_rows, users, workspaces},
};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{
    find_visible, price,
    subscriptions::{self, Payer},
};
use crate::BillingService;

const MAX_NAME: usize = 120;
const MAX_ADDRESS: usize = 400;
const MAX_VAT_ID: usize = 30;

/// File to download.
#[derive(Clone, Debug)]
pub struct Document {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Reads the buyer's details for receipts.
pub async fn billing_details(service: &BillingService, payer: Payer) -> Result<BillingDetails, AppError> {
    load_billing_details(service.db.writer(), payer.account()).await
}

async fn load_billing_details<C: ConnectionTrait>(db: &C, account: Uuid) -> Result<BillingDetails, AppError> {
    let found = subscription_rows::billing_details(db, account).await?;
    found.map_or_else(|| Ok(BillingDetails::default()), |text| serde_json::from_str(&text).map_err(AppError::internal))
}

/// Changes the buyer's details for future receipts.
pub async fn change_billing_details(
    service: &BillingService,
    payer: Payer,
    details: BillingDetails,
) -> Result<BillingDetails, AppError> {
    let refused = |field: &'static str, sentence: &'static str| Err(AppError::field(field, "invalid", sentence));
    let fits = |text: &Option<String>, most: usize, lines: bool| {
        text.as_deref().is_none_or(|text| {
            text.chars().count() <= most && text.chars().all(|char| !char.is_control() || (lines && char == '\n'))
        })
    };
    if !fits(&details.name, MAX_NAME, false) {
        return refused("name", "Use 120 characters or fewer.");
    }
    if !fits(&details.address, MAX_ADDRESS, true) {
        return refused("address", "Use 400 characters or fewer.");
    }
    if !fits(&details.vat_id, MAX_VAT_ID, false) {
        return refused("vat_id", "Use 30 characters or fewer.");
    }
    let is_country = |code: &String| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    if details.country.as_ref().is_some_and(|code| !is_country(code)) {
        return refused("country", "Enter a two-letter country code, such as VN.");
    }
    let text = serde_json::to_string(&details).map_err(AppError::internal)?;
    subscription_rows::upsert_billing_details(service.db.writer(), payer.account(), &text, service.clock.now()).await?;
    Ok(details)
}

/// Snapshot of the buyer's details, to be stored with a payment.
pub(super) async fn buyer<C: ConnectionTrait>(db: &C, row: &payment::Model) -> Result<String, AppError> {
    let mut details = load_billing_details(db, subscriptions::account(row)).await?;
    if details.name.as_deref().is_none_or(|name| name.trim().is_empty()) {
        details.name = match row.workspace_id {
            Some(id) => workspaces::name(db, id).await?,
            None => users::by_id(db, row.user_id).await?.map(|user| user.display_name),
        };
    }
    serde_json::to_string(&details).map_err(AppError::internal)
}

/// Reads a payment whose documents the caller may download: the payer, people who pay for its workspace, and
/// administrators.
async fn find_downloadable(service: &BillingService, by: &Principal, id: Uuid) -> Result<payment::Model, AppError> {
    if by.may_administer() {
        return rows::by_id(service.db.reader(), id).await?.ok_or_else(|| Code::NotFound.into());
    }
    find_visible(service, by, id).await
}

pub async fn receipt(service: &BillingService, by: &Principal, id: Uuid) -> Result<Document, AppError> {
    let row = find_downloadable(service, by, id).await?;
    let number = format_number(row.receipt_year, row.receipt_number).ok_or(Code::NotFound)?;
    let date = row.paid_at.ok_or(Code::NotFound)?;
    let paper = Receipt { number, date, ..draft(service, &row).await? };
    render_document(paper).await
}

/// Returns the credit note of a refund by its number.
pub async fn credit_note(service: &BillingService, by: &Principal, id: Uuid, note: &str) -> Result<Document, AppError> {
    let row = find_downloadable(service, by, id).await?;
    let refunds = rows::refunds(service.db.reader(), id).await?;
    let is_it = |year, count| format_number(year, count).as_deref() == Some(note);
    let found = refunds.into_iter().find(|refund| is_it(refund.credit_note_year, refund.credit_note_number));
    let refund = found.filter(|refund| refund.state == RefundState::Done.as_str()).ok_or(Code::NotFound)?;
    let paper = draft(service, &row).await?;
    let paper = Receipt {
        number: note.to_owned(),
        date: refund.refunded_at.ok_or(Code::NotFound)?,
        credits: format_number(row.receipt_year, row.receipt_number),
        amount: Money::new(refund.amount, paper.amount.currency),
        ..paper
    };
    render_document(paper).await
}

pub(super) fn format_number(year: Option<i64>, number: Option<i64>) -> Option<String> {
    year.zip(number).map(|(year, number)| format!("{year}-{number:04}"))
}

async fn draft(service: &BillingService, row: &payment::Model) -> Result<Receipt, AppError> {
    let db = service.db.reader();
    let seller = &service.config.payment.seller;
    let details: BillingDetails = match &row.buyer {
        Some(text) => serde_json::from_str(text).map_err(AppError::internal)?,
        None => serde_json::from_str(&buyer(db, row).await?).map_err(AppError::internal)?,
    };
    let payer = users::by_id(db, row.user_id).await?;
    let plan = plan_rows::by_id(db, row.plan_id).await?.ok_or(Code::NotFound)?;
    let country = details.country.map(|code| format!("\n{code}")).unwrap_or_default();
    Ok(Receipt {
        language: payer.map_or(Language::En, |user| Language::from_stored_tag(&user.language)),
        number: String::new(),
        date: row.created_at,
        credits: None,
        seller: Party {
            name: seller.name.clone().unwrap_or_else(|| service.config.server.public_host()),
            address: seller.address.clone().unwrap_or_default().replace("\\n", "\n"),
            vat_id: seller.vat_id.clone(),
        },
        buyer: Party {
            name: details.name.unwrap_or_default(),
            address: format!("{}{country}", details.address.unwrap_or_default()).trim().to_owned(),
            vat_id: details.vat_id.filter(|id| !id.is_empty()),
        },
        title: plan.name,
        quantity: row.seats,
        period: row.period_start.zip(row.period_end),
        amount: price(row)?,
        tax: (seller.tax_rate > 0).then(|| Tax { name: seller.tax_name.clone(), rate: seller.tax_rate }),
        method: row.gateway.clone(),
    })
}

async fn render_document(paper: Receipt) -> Result<Document, AppError> {
    let name = format!("{}.pdf", paper.number);
    // Rendering takes a few milliseconds, so it runs on a blocking thread.
    let bytes = tokio::task::spawn_blocking(move || ::payment::write_receipt(&paper)).await;
    let bytes = bytes.map_err(AppError::internal)?.map_err(AppError::internal)?;
    Ok(Document { name, bytes })
}
