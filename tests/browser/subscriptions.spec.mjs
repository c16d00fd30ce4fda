// Plan from the purchase to the refund, with the demo gateway.

import { readFile } from 'node:fs/promises';
import { linkTo } from './mail.mjs';
import { apiOf, expect, PHONE, signInAsAdmin, test } from './people.mjs';

test.use({ settings: { PAYMENT__DEMO__ENABLED: 'true' } });

const WIDE = { viewport: { width: 1440, height: 900 } };

/** Sets a price for the model, so that answers use up a small balance. */
async function priceModel(server) {
  const admin = await apiOf(server, server.admin);
  await admin.call('PUT', '/r1/admin/models/small', {
    deployments: [{ provider: 'fake', model: 'small', weight: 1, priority: 0 }],
    price: { input: 1_000_000, cached: 100_000, output: 2_000_000 }
  });
  return admin;
}

async function pay(page) {
  await page.getByRole('button', { name: /^Pay/ }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Demo payment' })).toBeVisible();
  await page
    .getByRole('main')
    .getByRole('button', { name: /^Pay \$/ })
    .click();
}

for (const [size, options] of [
  ['wide', WIDE],
  ['phone', PHONE]
])
  test(`tops up credits and buys, changes, cancels and resumes a plan: ${size}`, async ({
    arrive,
    server,
    upstream
  }) => {
    const admin = await priceModel(server);
    const anna = await arrive('Anna', options);
    const { page } = anna;

    // Credits are bought and used up by an answer.
    const api = await apiOf(server, anna);
    await admin.call('POST', '/r1/admin/credits', { user_id: api.id, amount: 1_000, reason: 'A taste' });
    await anna.openAssistant();
    upstream.next({ words: ['Fine.'] });
    await anna.write('How are you?');
    await expect(page.getByRole('alert').filter({ hasText: 'credits' })).toBeVisible();
    await expect(page).toHaveURL(/\/c\/new\?/);
    await expect(anna.composer).toHaveValue('How are you?');
    const strip = page.getByRole('status').filter({ hasText: 'credits' });
    await expect(strip).toBeVisible();
    await anna.expectFlawless('not enough credits');
    await strip.getByRole('link', { name: 'Buy credits' }).click();

    await page.getByRole('link', { name: 'Buy 500 credits' }).click();
    await pay(page);
    await expect(page.getByRole('heading', { level: 1, name: '500 credits: paid' })).toBeVisible();
    await page.getByRole('link', { name: 'Back to chats' }).click();
    await anna.openAssistant();
    await expect(anna.composer).toHaveValue('How are you?');
    await anna.composer.press('Enter');
    await anna.sees('Fine.');
    await expect(strip).toHaveCount(0);

    // A plan is bought, which the same payment method renews automatically.
    await page.goto('/plans');
    await page.getByRole('link', { name: 'Choose Team' }).click();
    await expect(page.getByText('Renews every month until you cancel.')).toBeVisible();
    await pay(page);
    await expect(page.getByRole('heading', { level: 1, name: 'Team: paid' })).toBeVisible();
    await page.goto('/plans/billing');
    const plan = page.getByRole('region', { name: 'Subscription' });
    await expect(plan).toContainText('Team');
    await expect(plan).toContainText(/\$24\.00 a month, renews .+ with/);
    await expect(page.getByRole('list', { name: 'Payment methods' }).getByRole('listitem')).toHaveCount(1);
    await anna.expectFlawless('billing with a plan');

    // The plan is upgraded, and the price is shown before.
    await plan.getByRole('link', { name: 'Change plan' }).click();
    await page.getByRole('button', { name: 'Switch to Studio' }).click();
    const dialog = page.getByRole('dialog', { name: 'Switch to Studio' });
    await expect(dialog).toContainText('Unused part of Team');
    await expect(dialog).toContainText('$79.00 a month');
    await anna.expectFlawless('what another plan costs');
    await dialog.getByRole('button', { name: /^Pay \$[\d.]+ and switch$/ }).click();
    await expect(page.getByText('You’re on Studio now.')).toBeVisible();
    await expect(page.getByRole('article', { name: 'Studio' }).getByRole('link', { name: 'Manage' })).toBeVisible();

    // A downgrade waits for the end of the period.
    await page.getByRole('button', { name: 'Switch to Team' }).click();
    await expect(page.getByRole('dialog')).toContainText('Until then you keep Studio.');
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();

    await page.goto('/plans/billing');
    await plan.getByRole('button', { name: 'Cancel plan' }).click();
    await expect(page.getByRole('alertdialog')).toContainText('isn’t charged again');
    await anna.expectFlawless('canceling a plan');
    await page.getByRole('alertdialog').getByRole('button', { name: 'Cancel plan' }).click();
    await expect(plan).toContainText('Ends soon');
    await plan.getByRole('button', { name: 'Resume plan' }).click();
    await expect(plan).toContainText('Active');
    await expect(plan.getByRole('button', { name: 'Cancel plan' })).toBeVisible();
  });

test('refunds a payment partially', async ({ browser, register, server }) => {
  const anna = await register('Anna');
  const { page } = anna;
  await page.goto('/plans');
  await page.getByRole('link', { name: 'Buy 1,000 credits' }).click();
  await pay(page);
  await expect(page.getByRole('heading', { level: 1, name: '1,000 credits: paid' })).toBeVisible();

  const context = await browser.newContext({ baseURL: server.url, ...WIDE });
  const admin = await signInAsAdmin(context, server);
  await admin.page.goto('/admin/payments');
  await admin.page.getByRole('link', { name: new RegExp(`^Payment of ${anna.name}`) }).click();
  await expect(admin.page.getByRole('heading', { level: 1 })).toContainText('$11.00');
  await expect(admin.page.getByRole('region', { name: 'Events' }).getByRole('listitem')).not.toHaveCount(0);
  await admin.expectFlawless('a payment');
  await admin.page.getByRole('button', { name: 'Refund' }).click();
  const dialog = admin.page.getByRole('dialog');
  await dialog.getByLabel('Amount in USD').fill('12');
  await dialog.getByRole('button', { name: 'Refund' }).click();
  await expect(dialog.getByText('Enter an amount up to $11.00.')).toBeVisible();
  await expect(dialog.getByText('Enter a reason.')).toBeVisible();
  await dialog.getByLabel('Amount in USD').fill('5.50');
  await dialog.getByLabel('Reason').fill('Half was a mistake');
  await admin.expectFlawless('the form for a refund');
  await dialog.getByRole('button', { name: 'Refund $5.50' }).click();
  await expect(admin.page.getByRole('region', { name: 'Refunds' })).toContainText('Half was a mistake');
  await expect(admin.page.getByText('Partly refunded')).toBeVisible();
  await admin.page.setViewportSize(PHONE.viewport);
  await admin.expectFlawless('a payment on a phone');
  await context.close();

  await page.goto('/plans/billing');
  const row = page.getByRole('row').filter({ hasText: 'Partly refunded' });
  await expect(row).toContainText('$5.50 refunded');
  await expect(page.getByRole('row').filter({ hasText: 'Refunded' }).last()).toContainText('−500');
});

test('opens a receipt with billing details', async ({ register }) => {
  const anna = await register('Anna');
  const { page } = anna;
  await page.goto('/plans/billing');
  await page.getByLabel('Name or company').fill('Harbour GmbH');
  await page.getByLabel('Address').fill('Am Hafen 3');
  await page.getByLabel('Country').selectOption({ label: 'Germany' });
  await page.getByLabel('VAT number').fill('DE123456789');
  await page.getByRole('region', { name: 'On your receipts' }).getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('Saved.')).toBeVisible();
  await page.reload();
  await expect(page.getByLabel('Name or company')).toHaveValue('Harbour GmbH');
  await expect(page.getByLabel('Country')).toHaveValue('DE');
  await anna.expectFlawless('what stands on receipts');
  await page.goto('/plans');
  await page.getByRole('link', { name: 'Buy 500 credits' }).click();
  await pay(page);
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: /^Receipt \d{4}-/ }).click()
  ]);
  expect(download.suggestedFilename()).toMatch(/^\d{4}-\d+\.pdf$/);
  expect((await readFile(await download.path())).subarray(0, 5).toString()).toBe('%PDF-');
});

test('reports a declined renewal with the next step', async ({ register }) => {
  const anna = await register('Anna');
  const { page } = anna;
  await page.goto('/plans');
  await page.getByRole('link', { name: 'Choose Team' }).click();
  await pay(page);
  await expect(page.getByRole('heading', { level: 1, name: 'Team: paid' })).toBeVisible();
  // The response about the renewal is faked.
  await page.route('**/r1/subscription', async (route) => {
    const answer = await route.fetch();
    const body = await answer.json();
    const until = new Date(Date.now() + 5 * 86_400_000).toISOString();
    Object.assign(body.data.subscription, {
      status: 'past_due',
      renews_at: null,
      grace_until: until,
      next_attempt_at: until
    });
    await route.fulfill({ response: answer, json: body });
  });
  await page.goto('/plans/billing');
  const note = page.getByRole('alert').filter({ hasText: 'The renewal of Team failed' });
  await expect(note).toContainText('Team works until');
  await expect(note.getByRole('button', { name: 'Pay $24.00 now' })).toBeVisible();
  await anna.expectFlawless('a renewal that failed');
  await page.goto('/plans');
  await expect(note).toBeVisible();
});

test('starts a trial', async ({ browser, register, server }) => {
  const context = await browser.newContext({ baseURL: server.url, ...WIDE });
  const admin = await signInAsAdmin(context, server);
  await admin.page.goto('/admin/plans');
  await admin.page
    .getByRole('row')
    .filter({ hasText: 'Studio' })
    .filter({ hasText: 'monthly' })
    .getByRole('button', { name: 'Edit Studio' })
    .click();
  await admin.page.getByRole('dialog').getByLabel('Trial days').fill('14');
  await admin.page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await expect(admin.page.getByRole('row').filter({ hasText: '14-day trial' })).toHaveCount(1);
  await context.close();

  const anna = await register('Anna');
  const { page } = anna;
  // Trials require a verified address.
  await page.goto(await linkTo(server, anna.email, 'verify-email'));
  await page.getByRole('button', { name: 'Verify email' }).click();
  await expect(page.getByRole('heading', { name: 'Email verified' })).toBeVisible();
  await page.goto('/plans');
  await page.getByRole('button', { name: 'Try 14 days free' }).click();
  await expect(page.getByText('Your trial of Studio has started.')).toBeVisible();
  await page.goto('/plans/billing');
  const plan = page.getByRole('region', { name: 'Subscription' });
  await expect(plan).toContainText('Trial');
  await expect(plan).toContainText('free until');
  await anna.expectFlawless('a trial');
  await plan.getByRole('button', { name: 'Cancel plan' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Cancel plan' }).click();
  await expect(page.getByText('Studio has ended.')).toBeVisible();
  await expect(plan).toHaveCount(0);
});
