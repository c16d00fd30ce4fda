/** Options for paying: a gateway or a saved method, each with a currency. */
import type { PaymentGateway, PaymentMethod, Plan, Price } from '../api.ts';
import { m } from '#lib/paraglide/messages.js';
import known from '../gateways.json';

export interface PaymentOption {
  readonly gateway: string;
  readonly price: Price;
  readonly isDemo: boolean;
  /** Saved payment method; absent if a new one is used. */
  readonly method?: PaymentMethod;
}

export function keyOf({ gateway, method }: PaymentOption): string {
  return method?.id ?? gateway;
}

/** Returns the options for paying a plan: the enabled gateways, with the price in the preferred currency if possible. */
export function paymentOptionsFor(
  plan: Plan,
  gateways: readonly PaymentGateway[],
  currency: string | undefined
): PaymentOption[] {
  return gateways
    .filter(({ enabled }) => enabled)
    .flatMap(({ name, currencies, is_demo }) => {
      const taken = plan.prices.filter((price) => currencies.includes(price.currency));
      const price = taken.find((one) => one.currency === currency) ?? taken[0];
      return price ? [{ gateway: name, price, isDemo: is_demo }] : [];
    });
}

/** Labels of all gateways that the server knows, including disabled ones with past payments. */
const GATEWAYS: Record<string, { label: string; saves_methods: boolean } | undefined> = known;

/** Name of a payment method for users, such as “Card”. */
export function paymentMethodName(gateway: string): string {
  if (gateway === 'stripe') return m.money_card();
  if (gateway === 'demo') return m.money_demo();
  return gatewayName(gateway);
}

/** Name of the gateway itself, such as “Stripe”. */
export function gatewayName(gateway: string): string {
  return GATEWAYS[gateway]?.label ?? gateway;
}

/** Whether the gateway saves payment methods, so that plans renew automatically. */
export function renewsByItself(gateway: string): boolean {
  return GATEWAYS[gateway]?.saves_methods ?? false;
}

/** Text that explains how paying works with this gateway. */
export function paymentMethodHint(gateway: string): string {
  switch (gateway) {
    case 'stripe':
      return m.money_card_about();
    case 'momo':
      return m.money_momo_about();
    case 'vnpay':
      return m.money_vnpay_about();
    case 'demo':
      return m.money_demo_about();
  }
  return m.money_continue_at({ name: paymentMethodName(gateway) });
}
