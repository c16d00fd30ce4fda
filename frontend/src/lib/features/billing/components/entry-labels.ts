/** Labels of ledger entries and payment statuses. */
import type { PaymentStatus } from '../api.ts';
import { badgeIn } from '#lib/util/enum-lookup.ts';
import { m } from '#lib/paraglide/messages.js';

const ENTRIES: Record<string, () => string> = {
  purchase: m.money_entry_purchase,
  grant: m.money_entry_grant,
  settle: m.money_entry_settle,
  hold: m.money_entry_hold,
  release: m.money_entry_release,
  expire: m.money_entry_expire,
  refund: m.money_entry_refund,
  refund_failed: m.money_entry_refund_failed,
  dispute: m.money_entry_dispute,
  dispute_won: m.money_entry_dispute_won,
  owed: m.money_entry_owed,
  owed_paid: m.money_entry_owed_paid,
  take: m.money_entry_take
};

/** Label of a ledger entry. Kinds that only a newer server knows are shown as they are. */
export function entryName(kind: string): string {
  return ENTRIES[kind]?.() ?? kind;
}

const STATUSES: Record<PaymentStatus, { look: string; name: () => string }> = {
  created: { look: 'warn', name: m.money_status_waiting },
  pending: { look: 'warn', name: m.money_status_waiting },
  paid: { look: 'ok', name: m.money_status_paid },
  failed: { look: 'bad', name: m.money_status_failed },
  expired: { look: '', name: m.money_status_expired },
  partly_refunded: { look: '', name: m.money_status_partly },
  refunded: { look: '', name: m.money_status_refunded },
  disputed: { look: 'bad', name: m.money_status_disputed },
  quarantined: { look: 'warn', name: m.money_status_checked }
};

export function statusName(status: PaymentStatus): string {
  return badgeIn(STATUSES, status).name;
}

export function statusStyle(status: PaymentStatus): string {
  return badgeIn(STATUSES, status).look;
}
