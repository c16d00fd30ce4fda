import { expect, it } from 'vitest';
import type { PaymentGateway, Plan } from '../api.ts';
import { gatewayName, renewsByItself, paymentMethodName, paymentOptionsFor } from './payment-methods.ts';

const PLAN: Plan = {
  id: 'p1',
  name: '1,000 credits',
  kind: 'credits',
  interval: null,
  prices: [
    { currency: 'USD', amount: 1_100 },
    { currency: 'VND', amount: 290_000 }
  ],
  credits: 1_000_000_000,
  quotas: {},
  features: [],
  trial_days: 0,
  is_active: true
};
const gateway = (name: string, currencies: string[], enabled = true): PaymentGateway => ({
  name,
  enabled,
  currencies,
  is_demo: false,
  saves_methods: false
});

it('offers active gateways for the currencies of the plan, the chosen currency first', () => {
  const ways = paymentOptionsFor(
    PLAN,
    [
      gateway('stripe', ['USD', 'VND']),
      gateway('momo', ['VND']),
      gateway('paypal', ['USD'], false),
      gateway('vnpay', ['JPY'])
    ],
    'USD'
  );
  expect(ways.map(({ gateway: name, price }) => `${name} ${price.amount} ${price.currency}`)).toEqual([
    'stripe 1100 USD',
    'momo 290000 VND'
  ]);
});

it('names known gateways by the server’s table and others by id', () => {
  expect(['stripe', 'momo', 'another'].map(gatewayName)).toEqual(['Stripe', 'MoMo', 'another']);
  expect(['stripe', 'vnpay'].map(paymentMethodName)).toEqual(['Card', 'VNPAY']);
  expect(['demo', 'stripe', 'paypal', 'momo', 'vnpay', 'another'].filter(renewsByItself)).toEqual(['demo', 'stripe']);
});
