//! Receipts, credit notes and billing details.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, HeaderValue};
use appcore::{AppError, PaymentId, WorkspaceId, view::BillingDetails};
use billing::payments::{self, Document, subscriptions::Payer};
use bytes::Bytes;
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, RateGroup, Raw, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ReadReceipt>(),
    EndpointDef::of::<ReadCreditNote>(),
    EndpointDef::of::<ReadBillingDetails>(),
    EndpointDef::of::<ChangeBillingDetails>(),
];

#[dto(request)]
pub struct ReadReceiptRequest {
    #[from(path)]
    pub id: PaymentId,
}

/// Download the receipt of a payment
///
/// PDF of a paid payment. Allowed to the payer, to users who manage the workspace's billing, and to
/// administrators.
#[endpoint(GET "/r1/payments/{id}/receipt.pdf", tag = "payments", access = Access::User, rate = RateGroup::Read, content("application/pdf"))]
impl Endpoint for ReadReceipt {
    type Request = ReadReceiptRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ReadReceiptRequest) -> Result<Reply<Raw>, AppError> {
        Ok(pdf_reply(payments::receipt(ctx.billing(), ctx.user()?, request.id.0).await?))
    }
}

#[dto(request)]
pub struct ReadCreditNoteRequest {
    #[from(path)]
    pub id: PaymentId,
    /// Number of the credit note, such as `2026-0002`.
    #[from(path)]
    pub number: String,
}

/// Download the credit note of a refund
#[endpoint(GET "/r1/payments/{id}/credit_notes/{number}", tag = "payments", access = Access::User, rate = RateGroup::Read, content("application/pdf"))]
impl Endpoint for ReadCreditNote {
    type Request = ReadCreditNoteRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ReadCreditNoteRequest) -> Result<Reply<Raw>, AppError> {
        let number = request.number.trim_end_matches(".pdf");
        Ok(pdf_reply(payments::credit_note(ctx.billing(), ctx.user()?, request.id.0, number).await?))
    }
}

fn pdf_reply(document: Document) -> Reply<Raw> {
    let reply = Reply::bytes("application/pdf", Bytes::from(document.bytes));
    let reply = reply.header(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    match HeaderValue::from_str(&format!("attachment; filename=\"{}\"", document.name)) {
        Ok(value) => reply.header(CONTENT_DISPOSITION, value),
        Err(_) => reply,
    }
}

#[dto(request)]
pub struct ReadBillingDetailsRequest {
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
}

/// Show your billing details
#[endpoint(GET "/r1/billing_details", tag = "payments", access = Access::User, rate = RateGroup::Read, requires = Payer(workspace_id))]
impl Endpoint for ReadBillingDetails {
    type Request = ReadBillingDetailsRequest;
    type Response = BillingDetails;

    async fn handle(
        ctx: &Ctx,
        _request: ReadBillingDetailsRequest,
        payer: &Payer,
    ) -> Result<Reply<BillingDetails>, AppError> {
        Ok(Reply::of(payments::billing_details(ctx.billing(), *payer).await?))
    }
}

#[dto(request)]
pub struct ChangeBillingDetailsRequest {
    pub workspace_id: Option<WorkspaceId>,
    pub name: Option<String>,
    /// Lines of the address.
    pub address: Option<String>,
    /// Country, as ISO 3166-1 alpha-2 code.
    pub country: Option<String>,
    pub vat_id: Option<String>,
}

/// Change your billing details
///
/// Applies to future receipts only.
#[endpoint(PUT "/r1/billing_details", tag = "payments", access = Access::User, rate = RateGroup::Write, requires = Payer(workspace_id))]
impl Endpoint for ChangeBillingDetails {
    type Request = ChangeBillingDetailsRequest;
    type Response = BillingDetails;

    async fn handle(
        ctx: &Ctx,
        request: ChangeBillingDetailsRequest,
        payer: &Payer,
    ) -> Result<Reply<BillingDetails>, AppError> {
        let ChangeBillingDetailsRequest { workspace_id: _, name, address, country, vat_id } = request;
        let details = BillingDetails { name, address, country, vat_id };
        Ok(Reply::of(payments::change_billing_details(ctx.billing(), *payer, details).await?))
    }
}
