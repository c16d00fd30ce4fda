// Plans and credits, bought by the demo gateway: no real money.

import { apiOf, expect, PHONE, test } from './people.mjs';

test.use({ settings: { PAYMENT__DEMO__ENABLED: 'true' } });

test('credits are bought: chosen, paid, waited for, and found in the account', { tag: '@gate' }, async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const { page } = anna;
  await page.getByRole('link', { name: 'Usage' }).click();
  await page.getByRole('navigation', { name: 'Usage, plans and billing' }).getByRole('link', { name: 'Plans and credits' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Plans and credits' })).toBeVisible();
  const team = page.getByRole('article', { name: 'Team' });
  await expect(team).toContainText('$24');
  await anna.expectFlawless('the plans');

  // By the year, and in whole dong.
  await page.getByRole('button', { name: 'Yearly' }).click();
  await page.getByLabel('Currency').selectOption('VND');
  await expect(team).toContainText('5,900,000');
  await expect(team).not.toContainText('.00');
  await page.getByLabel('Currency').selectOption('USD');

  await page.getByRole('link', { name: 'Buy 1,000 credits' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Choose how to pay' })).toBeVisible();
  await expect(page.getByRole('radio')).toHaveCount(1);
  await expect(page.getByRole('radio', { name: /Demo payment/ })).toBeChecked();
  await anna.expectFlawless('how to pay');
  await page.getByRole('button', { name: 'Pay $11.00' }).click();

  // In place of the gateway's own page. Nothing is decided yet, and the page of the result says so.
  await expect(page.getByRole('heading', { level: 1, name: 'Demo payment' })).toBeVisible();
  await expect(page.getByText('No real money.')).toBeVisible();
  await anna.expectFlawless('the demo gateway');
  const payment = new URL(page.url()).searchParams.get('payment');
  await page.getByRole('link', { name: 'Decide later' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Waiting for Demo payment' })).toBeVisible();
  await anna.expectFlawless('a payment that is waited for');

  // It is paid elsewhere: this page learns of it by itself.
  const api = await apiOf(server, anna);
  await api.call('POST', `/r1/payments/${payment}/demo`, { outcome: 'paid' });
  await expect(page.getByRole('heading', { level: 1, name: '1,000 credits: paid' })).toBeVisible();
  await expect(page.getByText('Credits left now:')).toContainText('1,000');
  await anna.expectFlawless('a payment that was made');

  await page.getByRole('main').getByRole('link', { name: 'Billing' }).click();
  await expect(page.getByRole('row').filter({ hasText: 'Demo payment' })).toContainText('Paid');
  await expect(page.getByRole('row').filter({ hasText: 'Credits bought' })).toContainText('+1,000');
  await anna.expectFlawless('billing');
});

test('a payment that fails is begun again', async ({ arrive }) => {
  const anna = await arrive('Anna', PHONE);
  const { page } = anna;
  await page.goto('/plans');
  await anna.expectFlawless('the plans on a phone');
  await page.getByRole('link', { name: 'Choose Team' }).click();
  await expect(page.getByText('It doesn’t renew by itself.')).toBeVisible();
  await anna.expectFlawless('how to pay on a phone');
  // What was asked for with a line that is cut is one payment, whenever the line is back.
  await page.context().setOffline(true);
  await page.getByRole('button', { name: /^Pay/ }).click();
  await expect(page.getByRole('alert')).toContainText('You weren’t charged');
  await page.context().setOffline(false);
  await page.getByRole('button', { name: /^Pay/ }).click();
  await page.getByRole('button', { name: 'Decline' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'The payment didn’t go through' })).toBeVisible();
  await expect(page.getByText('You weren’t charged.')).toBeVisible();
  await anna.expectFlawless('a failed payment on a phone');
  await page.getByRole('link', { name: 'Try again' }).click();
  await page.getByRole('button', { name: /^Pay/ }).click();
  await page.getByRole('main').getByRole('button', { name: /^Pay/ }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Team: paid' })).toBeVisible();
  await page.goto('/plans');
  await expect(page.getByRole('article', { name: 'Team' })).toContainText('Your plan');
  await page.goto('/plans/result?payment=019aa000-0000-7000-8000-000000000000');
  await expect(page.getByRole('heading', { level: 1, name: 'Payment not found' })).toBeVisible();
});
