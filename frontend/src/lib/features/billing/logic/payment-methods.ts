/** How something can be paid: by which gateway, in which currency. */
import type { PaymentGateway, PaymentMethod, Plan, Price } from '../api.ts';
import { m } from '#lib/paraglide/messages.js';
import known from '../gateways.json';

export interface MethodGroup {
  readonly gateway: string;
  readonly price: Price;
  readonly isDemo: boolean;
  /** What was saved; left out, it is given anew. */
  readonly method?: PaymentMethod;
}

export function keyOf({ gateway, method }: MethodGroup): string {
  return method?.id ?? gateway;
}

/** The gateways that take the plan: in the currency asked for where they can, else in one that they take. */
export function methodGroupsFor(
  plan: Plan,
  gateways: readonly PaymentGateway[],
  currency: string | undefined
): MethodGroup[] {
  return gateways
    .filter(({ enabled }) => enabled)
    .flatMap(({ name, currencies, is_demo }) => {
      const taken = plan.prices.filter((price) => currencies.includes(price.currency));
      const price = taken.find((one) => one.currency === currency) ?? taken[0];
      return price ? [{ gateway: name, price, isDemo: is_demo }] : [];
    });
}

/** As the server describes them: for what is known by its gateway’s name only, such as payments of the past. */
const GATEWAYS: Record<string, { label: string; saves_methods: boolean } | undefined> = known;

/** What a payment method is called. */
export function methodGroupName(gateway: string): string {
  if (gateway === 'stripe') return m.money_card();
  if (gateway === 'demo') return m.money_demo();
  return gatewayName(gateway);
}

/** What a gateway calls itself: for those who have an account there. */
export function gatewayName(gateway: string): string {
  return GATEWAYS[gateway]?.label ?? gateway;
}

/** Whether the gateway saves payment methods, so that plans renew automatically. */
export function renewsByItself(gateway: string): boolean {
  return GATEWAYS[gateway]?.saves_methods ?? false;
}

/** What one has to expect of it. */
export function methodGroupHint(gateway: string): string {
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
  return m.money_continue_at({ name: methodGroupName(gateway) });
}
