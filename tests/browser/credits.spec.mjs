// Saved cards, low-balance warnings, automatic top-up and credits of a workspace, with the demo gateway.

import { readFile } from 'node:fs/promises';
import { apiOf, DESKTOP, expect, PHONE, signInAsAdmin, test } from './people.mjs';

test.use({ settings: { PAYMENT__DEMO__ENABLED: 'true' } });

/** Saves a card on the billing page. */
async function saveCard(page, outcome = 'Save the card') {
  await page.locator('#methods').getByRole('button', { name: 'Add' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Demo card' })).toBeVisible();
  await page.getByRole('button', { name: outcome, exact: true }).click();
}

for (const [size, options] of [
  ['wide', { viewport: DESKTOP }],
  ['phone', PHONE]
])
  test(`saves a card, pays with it and tops up automatically: ${size}`, async ({ register }) => {
    const anna = await register('Anna', options);
    const { page } = anna;
    await page.goto('/plans/billing');
    await expect(page.getByText('Save a payment method above')).toBeVisible();
    await page.locator('#methods').getByRole('button', { name: 'Add' }).click();
    await expect(page.getByRole('heading', { level: 1, name: 'Demo card' })).toBeVisible();
    await anna.expectFlawless('a card to be saved');
    await page.getByRole('button', { name: 'Decline', exact: true }).click();
    await expect(page.getByRole('alert').filter({ hasText: 'wasn’t saved' })).toBeVisible();
    await saveCard(page);
    await expect(page.getByRole('status').filter({ hasText: 'is saved.' })).toBeVisible();
    const methods = page.getByRole('list', { name: 'Payment methods' }).getByRole('listitem');
    await expect(methods).toHaveCount(1);

    // The saved card is selected at first, and paying with it needs no redirect.
    await page.goto('/plans');
    await page.getByRole('link', { name: 'Buy 500 credits' }).click();
    await expect(page.getByRole('radio')).toHaveCount(2);
    await expect(page.getByRole('radio').first()).toBeChecked();
    await anna.expectFlawless('how to pay, with a card that is saved');
    await page.getByRole('button', { name: /^Pay/ }).click();
    await expect(page.getByRole('heading', { level: 1, name: '500 credits: paid' })).toBeVisible();

    await page.goto('/plans/billing');
    const settings = page.getByRole('region', { name: 'When credits run low' });
    await settings.getByLabel('When fewer credits than this are left').fill('600');
    await settings.getByLabel(/^Monthly limit/).fill('1');
    await settings.getByRole('button', { name: 'Turn on' }).click();
    await expect(settings.getByText(/^Enter at least \$/)).toBeVisible();
    await settings.getByLabel(/^Monthly limit/).fill('100');
    await anna.expectFlawless('purchases by themselves');
    await settings.getByRole('button', { name: 'Turn on' }).click();
    // The balance is below the threshold, so credits are bought automatically, which the page shows.
    await expect(settings.getByText(/of \$100\.00 spent this month/)).toContainText(/\$[1-9]/);
    await expect(page.getByRole('row').filter({ hasText: 'Credits bought' })).toHaveCount(2);
    await settings.getByLabel('Warn me below').fill('50');
    await settings.getByRole('button', { name: 'Save' }).first().click();
    await page.reload();
    await expect(settings.getByLabel('Warn me below')).toHaveValue('50');
    await expect(settings.getByLabel('When fewer credits than this are left')).toHaveValue('600');
    await anna.expectFlawless('billing with all of it');
    await settings.getByRole('button', { name: 'Turn off' }).click();
    await expect(settings.getByRole('button', { name: 'Turn on' })).toBeVisible();

    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('region', { name: 'Credits ledger' }).getByRole('button').first().click()
    ]);
    expect((await readFile(await download.path(), 'utf8')).split('\n').length).toBeGreaterThan(2);
  });

test('manages credits of a workspace', async ({ register, server }) => {
  const anna = await register('Anna');
  const { page } = anna;
  const api = await apiOf(server, anna);
  const { id } = await api.call('POST', '/r1/workspaces', { name: 'Harbour' });
  await page.goto(`/plans?workspace_id=${id}`);
  await page.getByRole('link', { name: 'Buy 500 credits' }).click();
  await expect(page.getByText('For: Harbour')).toBeVisible();
  await expect(page.getByLabel('Seats')).toHaveCount(0);
  await page.getByRole('button', { name: /^Pay/ }).click();
  await page
    .getByRole('main')
    .getByRole('button', { name: /^Pay \$/ })
    .click();
  await expect(page.getByRole('heading', { level: 1, name: '500 credits: paid' })).toBeVisible();
  await page.goto(`/plans/billing?workspace_id=${id}`);
  await expect(page.getByRole('region', { name: 'Credits', exact: true })).toContainText('500');
  await expect(page.getByRole('row').filter({ hasText: 'Credits bought' })).toContainText('+500');
  await anna.expectFlawless('billing of a workspace');
  await page.getByLabel('For').selectOption({ label: 'Myself' });
  await expect(page.getByRole('region', { name: 'Credits', exact: true })).not.toContainText('500');
});

test('formats prices, limits and revenue by currency', async ({ browser, register, server }) => {
  const admin = await apiOf(server, server.admin);
  await admin.call('POST', '/r1/admin/pricing_plans', {
    kind: 'credits',
    name: 'Harbour pack',
    credits: 700_000_000,
    quotas: {},
    features: [],
    trial_days: 0,
    prices: [
      { currency: 'JPY', amount: 1_500 },
      { currency: 'VND', amount: 290_000 },
      { currency: 'USD', amount: 1_050 }
    ]
  });
  await admin.call('POST', '/r1/admin/pricing_plans', {
    kind: 'subscription',
    interval: 'month',
    name: 'Roomy',
    credits: 0,
    features: [],
    trial_days: 0,
    quotas: { storage: 5 * 1_024 ** 3, members: 12, answers: 20 },
    prices: [{ currency: 'JPY', amount: 980 }]
  });
  const anna = await register('Anna');
  const { page } = anna;
  await page.goto('/plans');
  const pack = page.getByRole('listitem').filter({ hasText: '700 credits' });
  for (const [currency, price, paid] of [
    ['JPY', '¥1,500', '¥1,500'],
    ['VND', '₫290,000', '₫290,000'],
    ['USD', '$10.50', '$10.50']
  ]) {
    await page.getByLabel('Currency').selectOption(currency);
    await expect(pack).toContainText(price);
    await pack.getByRole('link', { name: 'Buy 700 credits' }).click();
    await expect(page.getByRole('button', { name: `Pay ${paid}`, exact: true })).toBeVisible();
    await page.goBack();
  }
  await page.getByLabel('Currency').selectOption('JPY');
  const roomy = page.getByRole('article', { name: 'Roomy' });
  await expect(roomy).toContainText('Storage: 5 GB');
  await expect(roomy).toContainText('Members: 12');
  await roomy.getByRole('link', { name: 'Choose Roomy' }).click();
  await page.getByRole('button', { name: 'Pay ¥980' }).click();
  await page.getByRole('main').getByRole('button', { name: 'Pay ¥980' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Roomy: paid' })).toBeVisible();
  await page.goto('/plans/billing');
  // The stored values are shown after a reload.
  const credits = page.getByRole('region', { name: 'Credits', exact: true });
  await expect(credits).toContainText('of 5 GB');
  await expect(credits.getByText(/^Renews /)).toHaveCount(1);
  await anna.expectFlawless('limits of what is kept');

  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const seller = await signInAsAdmin(context, server);
  await seller.page.goto('/admin/payments');
  await seller.page.getByRole('link', { name: 'Revenue' }).click();
  await expect(seller.page.getByRole('row').filter({ hasText: '¥980' })).toBeVisible();
  await seller.expectFlawless('the revenue');
  await seller.page.getByRole('button', { name: 'Days' }).click();
  await expect(seller.page).toHaveURL(/by=day/);
  await seller.page.setViewportSize(PHONE.viewport);
  await seller.expectFlawless('the revenue on a phone');
  // The quotas of a plan stay when it is edited.
  await seller.page.setViewportSize(DESKTOP);
  await seller.page.goto('/admin/plans');
  await seller.page.getByRole('button', { name: 'Edit Roomy' }).first().click();
  await expect(seller.page.getByLabel('Storage, in GB')).toHaveValue('5');
  await context.close();
});
