//! CSV export of ledger entries, for accounting.

use std::sync::Arc;

use appcore::{AppError, Timestamp, credits::MicroCredits};
use bytes::Bytes;
use dbcontext::{
    entity::ledger_entry,
    query::ledger::{self as rows, EntryFilter},
};
use futures_util::{Stream, stream};
use platform::csv::{encode, escape_formula, format_credits};

use super::AccountHolder;
use crate::{BillingService, payments::subscriptions::Payer};

/// Maximum number of entries read per query.
const CHUNK_SIZE: u64 = 1_000;
const HEADER: [&str; 8] = ["time", "account", "kind", "credits", "balance", "source", "note", "id"];

/// Time range of an export; the end is exclusive.
#[derive(Clone, Copy, Debug, Default)]
pub struct Period {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

/// Exports the payer's account as CSV.
pub fn export(
    service: Arc<BillingService>,
    payer: Payer,
    period: Period,
) -> Result<impl Stream<Item = Result<Bytes, AppError>> + use<>, AppError> {
    export_for_holder(service, Some(payer.holder()), period)
}

/// Exports one holder's account, or all accounts, as CSV for administrators.
pub fn export_for_holder(
    service: Arc<BillingService>,
    holder: Option<AccountHolder>,
    period: Period,
) -> Result<impl Stream<Item = Result<Bytes, AppError>> + use<>, AppError> {
    let (from, to) =
        (period.from.unwrap_or(Timestamp(0)), period.to.unwrap_or_else(|| end_of_range(service.clock.now())));
    if from > to {
        return Err(AppError::field("from", "invalid", "The start must be before the end."));
    }
    let (after, before) = rows::id_range_with_margin(from, to);
    let wanted = EntryFilter { account_id: holder.map(AccountHolder::account), from, to, before };
    let header = stream::once(async { encode(vec![HEADER.map(str::to_owned)]) });
    let pieces = stream::try_unfold((service, Some(after)), move |(service, after)| async move {
        let Some(after) = after else { return Ok(None) };
        let found = rows::entries_after(service.db.reader(), wanted, after, CHUNK_SIZE).await?;
        let is_last = (found.len() as u64) < CHUNK_SIZE;
        let next = found.last().map(|row| row.id).filter(|_| !is_last);
        let piece = encode(found.into_iter().map(csv_row).collect())?;
        Ok::<_, AppError>(Some((piece, (service, next))))
    });
    Ok(futures_util::StreamExt::chain(header, pieces))
}

/// End of the range if none is given. Entries posted during the export are left out.
fn end_of_range(now: Timestamp) -> Timestamp {
    Timestamp(now.0.saturating_add(1))
}

fn csv_row(row: ledger_entry::Model) -> [String; 8] {
    let amount = if row.to_account == row.account_id { row.amount.0 } else { -row.amount.0 };
    [
        row.created_at.to_string(),
        row.account_id.to_string(),
        row.kind,
        format_credits(MicroCredits(amount)),
        format_credits(row.balance_after),
        format!("{}:{}", row.source, row.source_id),
        escape_formula(row.note.unwrap_or_default()),
        row.id.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_notes() {
        for (note, text) in [("=1+1", "'=1+1"), ("-2", "'-2"), ("a = b", "a = b"), ("", "")] {
            assert_eq!(escape_formula(note.to_owned()), text);
        }
        let line = ["a", "b", "c,d", "e\"f", "g\nh", "", "i", "j"].map(str::to_owned);
        assert_eq!(encode(vec![line]).unwrap(), "a,b,\"c,d\",\"e\"\"f\",\"g\nh\",,i,j\r\n");
    }
}
