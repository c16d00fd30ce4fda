/** Labels of payments in the operator console. */
import type { AdminPayment, PaymentStatus } from '../api.ts';
import { formatMoney } from '../logic/amounts.ts';
import { paymentMethodName } from '../logic/payment-methods.ts';
import { m } from '#lib/paraglide/messages.js';

/** Payment statuses in the order of the filter; first those that need action. */
export const STATUSES: readonly PaymentStatus[] = [
  'quarantined',
  'disputed',
  'created',
  'pending',
  'paid',
  'partly_refunded',
  'refunded',
  'failed',
  'expired'
];

/** Filter value for payments with a refund that an admin has to decide. */
export const STUCK = 'stuck' as const;

/** Reason why the payment is in quarantine. */
export function quarantineReason(payment: AdminPayment): string {
  const way = paymentMethodName(payment.gateway);
  const { paid_amount: amount, paid_currency: currency } = payment;
  switch (payment.quarantine) {
    case 'amount':
      return amount !== null && amount !== undefined && currency
        ? m.admin_payment_quar_amount_of({ way, paid: formatMoney({ amount, currency }), price: formatMoney(payment) })
        : m.admin_payment_quar_amount({ way });
    case 'account':
      return m.admin_payment_quar_account({ way });
    case 'charge':
      return m.admin_payment_quar_charge();
    case 'refund':
      return m.admin_payment_quar_refund({ way });
    case 'dispute':
      return m.admin_payment_quar_dispute({ way });
    case 'second_plan':
      return m.admin_payment_quar_second_plan();
    case 'refused':
      return m.admin_payment_quar_refused({ way });
  }
  return m.admin_payment_quar_other({ reason: payment.quarantine ?? '' });
}

/** Amount that can still be refunded, in minor units. */
export function refundable({ status, amount, refunded_amount }: AdminPayment): number {
  return status === 'paid' || status === 'partly_refunded' ? amount - refunded_amount : 0;
}
