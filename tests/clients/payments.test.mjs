// Stripe's official library, which signs the events. The server must use the version of the API that the library uses.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import Stripe from 'stripe';
import { Person, startServer } from './server.mjs';

const [OLDER, NEWER] = ['whsec_older', 'whsec_newer'];
const stripe = new Stripe('sk_test_x');

let gateway, server, anna;

/** Requests that the server has sent to Stripe. */
const asked = [];

before(async () => {
  gateway = createServer((request, response) => {
    let body = '';
    request.on('data', (piece) => (body += piece));
    request.on('end', () => {
      asked.push({ path: request.url, headers: request.headers });
      const id = new URLSearchParams(body).get('client_reference_id');
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ id: `cs_${id}`, url: `https://checkout.test/${id}` }));
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => gateway.once('listening', resolve));
  server = await startServer({
    PAYMENT__STRIPE__ENABLED: 'true',
    PAYMENT__STRIPE__SECRET_KEY: 'sk_test_x',
    PAYMENT__STRIPE__WEBHOOK_SECRET: `${OLDER},${NEWER}`,
    PAYMENT__STRIPE__BASE_URL: `http://127.0.0.1:${gateway.address().port}`,
  });
  await Person.signUp(server.url, 'Admin');
  anna = await Person.signUp(server.url, 'Anna');
});
after(async () => {
  await server?.stop();
  gateway?.close();
});

/** Starts a payment; returns its id. */
async function begun() {
  const { items } = await anna.call('GET', '/r1/pricing_plans');
  const plan = items.find(({ name }) => name === '500 credits');
  const { payment_id } = await anna.call('POST', '/r1/payments/checkout', { plan_id: plan.id, gateway: 'stripe' });
  return payment_id;
}

function paid(payment, number = 1) {
  return JSON.stringify({
    id: `evt_${payment}_${number}`,
    object: 'event',
    api_version: stripe.getApiField('version'),
    type: 'checkout.session.completed',
    livemode: false,
    data: {
      object: {
        id: `cs_${payment}`,
        object: 'checkout.session',
        payment_status: 'paid',
        amount_total: 600,
        currency: 'usd',
        client_reference_id: payment,
        payment_intent: `pi_${payment}`,
      },
    },
  });
}

/** Delivers an event. `secret` and `timestamp` are passed on to the library, which signs it. */
async function deliver(payload, options = {}) {
  const header = stripe.webhooks.generateTestHeaderString({ payload, secret: NEWER, ...options });
  const answer = await fetch(`${server.url}/r1/payments/webhooks/stripe`, {
    method: 'POST',
    headers: { 'content-type': 'application/json; charset=utf-8', 'stripe-signature': header },
    body: payload,
  });
  return answer.status;
}

const credits = async () => (await anna.call('GET', '/r1/entitlements/me')).credits.balance / 1e6;

test('the server requests the API version of the library', async () => {
  await begun();
  const { path, headers } = asked.at(-1);
  assert.equal(path, '/v1/checkout/sessions');
  assert.equal(headers['stripe-version'], stripe.getApiField('version'));
});

test('a webhook signed with either secret is applied once', async () => {
  const had = await credits();
  const one = await begun();
  assert.deepEqual(await Promise.all(Array.from({ length: 20 }, () => deliver(paid(one)))), Array(20).fill(200));
  assert.equal(await credits(), had + 500);
  const other = await begun();
  assert.equal(await deliver(paid(other), { secret: OLDER }), 200);
  assert.equal(await credits(), had + 1000);
});

test('a webhook with a wrong signature or timestamp is rejected', async () => {
  const payment = await begun();
  const had = await credits();
  const now = Math.floor(Date.now() / 1000);
  for (const options of [{ secret: 'whsec_other' }, { timestamp: now - 400 }, { timestamp: now + 400 }])
    assert.equal(await deliver(paid(payment), options), 400, JSON.stringify(options));
  // The signature belongs to another body.
  const header = stripe.webhooks.generateTestHeaderString({ payload: paid(payment), secret: NEWER });
  const body = paid(payment).replace('"amount_total":600', '"amount_total":6');
  const headers = { 'content-type': 'application/json', 'stripe-signature': header };
  const forged = await fetch(`${server.url}/r1/payments/webhooks/stripe`, { method: 'POST', headers, body });
  assert.equal(forged.status, 400);
  assert.equal(await credits(), had);
  assert.equal(await deliver(paid(payment), { timestamp: now - 200 }), 200);
  assert.equal(await credits(), had + 500);
});
