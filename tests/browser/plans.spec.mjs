// Plans and credits, with the demo gateway.

import { apiOf, expect, PHONE, test } from './people.mjs';

test.use({ settings: { PAYMENT__DEMO__ENABLED: 'true' } });

test('buys credits and books them', { tag: '@gate' }, async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const { page } = anna;
  await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Plans' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Plans and credits' })).toBeVisible();
  const team = page.getByRole('article', { name: 'Team' });
  await expect(team).toContainText('$24');
  await expect(team.getByRole('listitem')).toHaveText(['2,000 credits a month', 'API keys']);
  await anna.expectFlawless('the plans');

  // The yearly prices are shown, in VND without decimals.
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

  // The demo payment page. The payment isn't decided yet, as the page of the result shows.
  await expect(page.getByRole('heading', { level: 1, name: 'Demo payment' })).toBeVisible();
  await expect(page.getByText('No real money.')).toBeVisible();
  await anna.expectFlawless('the demo gateway');
  const payment = new URL(page.url()).searchParams.get('payment');
  await page.getByRole('link', { name: 'Decide later' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Waiting for Demo payment' })).toBeVisible();
  await anna.expectFlawless('a payment that is waited for');

  // The page of the plans shows the unfinished payment.
  await page.goto('/plans');
  const waiting = page.getByRole('status').filter({ hasText: 'Waiting for Demo payment.' });
  await expect(waiting).toContainText('You get 1,000 credits as soon as $11.00 is confirmed.');
  await anna.expectFlawless('plans with a payment that is waited for');
  await waiting.getByRole('link', { name: 'Continue' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Waiting for Demo payment' })).toBeVisible();

  // The payment is finished elsewhere, and this page is updated.
  const api = await apiOf(server, anna);
  await api.call('POST', `/r1/payments/${payment}/demo`, { outcome: 'paid' });
  await expect(page.getByRole('heading', { level: 1, name: '1,000 credits: paid' })).toBeVisible();
  await expect(page.getByText('Credits remaining:')).toContainText('1,000');
  await anna.expectFlawless('a payment that was made');

  await page.getByRole('main').getByRole('link', { name: 'Billing' }).click();
  await expect(page.getByRole('row').filter({ hasText: 'Demo payment' })).toContainText('Paid');
  await expect(page.getByRole('row').filter({ hasText: 'Credits bought' })).toContainText('+1,000');
  await anna.expectFlawless('billing');
});

test('shows prices in VND without decimals to Vietnamese readers', async ({ arrive, browser, server }) => {
  const anna = await arrive('Lan');
  // The account is signed in, but the browser has no chosen language.
  const { cookies } = await anna.page.context().storageState();
  const context = await browser.newContext({
    baseURL: server.url,
    locale: 'vi-VN',
    storageState: { cookies, origins: [] },
    ...PHONE
  });
  const page = await context.newPage();
  await page.goto('/plans');
  await expect(page.getByRole('article', { name: 'Team' })).toContainText(/590\.000\s₫/);
  await expect(page.getByRole('article', { name: 'Team' }).getByRole('listitem').first()).toHaveText(
    '2.000 credit mỗi tháng'
  );
  await page.getByRole('listitem').filter({ hasText: '1.000 credit' }).getByRole('link').click();
  await expect(page.getByRole('button', { name: /^Trả 270\.000\s₫$/ })).toBeVisible();
  await context.close();
});

test('restarts a failed payment', async ({ register }) => {
  const anna = await register('Anna', PHONE);
  const { page } = anna;
  await page.goto('/plans');
  await anna.expectFlawless('the plans on a phone');
  await page.getByRole('link', { name: 'Choose Team' }).click();
  await expect(page.getByText('Renews every month until you cancel.')).toBeVisible();
  await anna.expectFlawless('how to pay on a phone');
  // Retries after a disconnect create only one payment.
  await page.context().setOffline(true);
  await page.getByRole('button', { name: /^Pay/ }).click();
  await expect(page.getByRole('alert')).toContainText('You weren’t charged');
  await page.context().setOffline(false);
  await page.getByRole('button', { name: /^Pay/ }).click();
  await page.getByRole('button', { name: 'Decline', exact: true }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'The payment didn’t go through' })).toBeVisible();
  await expect(page.getByText('You weren’t charged.')).toBeVisible();
  await anna.expectFlawless('a failed payment on a phone');
  await page.getByRole('link', { name: 'Try again' }).click();
  await page.getByRole('button', { name: /^Pay/ }).click();
  await page
    .getByRole('main')
    .getByRole('button', { name: /^Pay \$/ })
    .click();
  await expect(page.getByRole('heading', { level: 1, name: 'Team: paid' })).toBeVisible();
  await page.goto('/plans');
  await expect(page.getByRole('article', { name: 'Team' })).toContainText('Your plan');
  await page.goto('/plans/result?payment=019aa000-0000-7000-8000-000000000000');
  await expect(page.getByRole('heading', { level: 1, name: 'Payment not found' })).toBeVisible();
});

test('reports exhausted credits at the composer and resumes after a purchase', async ({ arrive, server, upstream }) => {
  const admin = await apiOf(server, server.admin);
  await admin.call('PUT', '/r1/admin/models/small', {
    deployments: [{ provider: 'fake', model: 'small', weight: 1, priority: 0 }],
    price: { input: 1_000_000, cached: 100_000, output: 2_000_000 }
  });
  const anna = await arrive('Anna');
  const { page } = anna;
  await anna.openAssistant();
  const strip = page.getByRole('status').filter({ hasText: 'You’re out of credits.' });
  await expect(strip.getByRole('link', { name: 'Buy credits' })).toHaveAttribute('href', '/plans');
  await expect(page.getByRole('link', { name: 'Credits 0 Buy credits' })).toHaveAttribute('href', '/plans');
  await anna.expectFlawless('a composer without credits');
  upstream.next({ words: ['Fine, thanks.'] });
  await anna.write('How are you?');
  // The question returns to the composer, and no empty chat remains.
  const refusal = page.getByRole('alert').filter({ hasText: 'Not sent: you’re out of credits.' });
  await expect(refusal).toBeVisible();
  await expect(page).toHaveURL(/\/c\/new\?/);
  await expect(anna.composer).toHaveValue('How are you?');
  await expect(refusal).toBeVisible();
  const api = await apiOf(server, anna);
  await expect
    .poll(async () => (await api.call('GET', '/r1/conversations')).items.filter(({ kind }) => kind === 'assistant'))
    .toEqual([]);
  await page.setViewportSize(PHONE.viewport);
  await expect(strip).toBeVisible();
  await anna.expectFlawless('a composer without credits on a phone');

  // Credits are bought in another tab, and this one is updated.
  const pack = (await api.call('GET', '/r1/pricing_plans')).items.find(({ kind }) => kind === 'credits');
  const answer = await fetch(`${server.url}/r1/payments/checkout`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${api.token}`,
      'idempotency-key': crypto.randomUUID()
    },
    body: JSON.stringify({ plan_id: pack.id, gateway: 'demo', currency: 'USD' })
  });
  const { data } = await answer.json();
  await api.call('POST', `/r1/payments/${data.payment_id}/demo`, { outcome: 'paid' });
  await expect(strip).toHaveCount(0);
  await anna.composer.press('Enter');
  await anna.sees('Fine, thanks.');
});

test('uses a free model without credits', async ({ arrive, server, upstream }) => {
  const admin = await apiOf(server, server.admin);
  const deployments = [{ provider: 'fake', model: 'small', weight: 1, priority: 0 }];
  await admin.call('PUT', '/r1/admin/models/small', { deployments });
  const ben = await arrive('Ben');
  const { page } = ben;
  await ben.openAssistant();
  await expect(page.getByRole('link', { name: 'Credits 0 Buy credits' })).toBeVisible();
  upstream.next({ words: ['For nothing.'] });
  await ben.write('How are you?');
  await ben.sees('For nothing.');
  const strip = page.getByRole('status').filter({ hasText: 'You’re out of credits.' });
  await expect(strip).toHaveCount(0);

  const price = { input: 1_000_000, cached: 100_000, output: 2_000_000 };
  await admin.call('PUT', '/r1/admin/models/small', { deployments, price });
  await page.reload();
  await expect(strip).toBeVisible();
});

test('aligns the titles of usage, plans and billing', async ({ arrive }) => {
  const { page } = await arrive('Anna');
  const tabs = page.getByRole('navigation', { name: 'Usage, plans and billing' });
  const topOf = async (name) => {
    await tabs.getByRole('link', { name, exact: true }).click();
    const title = page.getByRole('main').getByRole('heading', { level: 1, name, exact: true });
    await expect(title).toBeVisible();
    return (await title.boundingBox()).y;
  };
  for (const viewport of [page.viewportSize(), PHONE.viewport]) {
    await page.setViewportSize(viewport);
    await page.goto('/plans');
    const tops = [await topOf('Usage'), await topOf('Billing'), await topOf('Plans and credits')];
    expect(new Set(tops).size, tops.join(', ')).toBe(1);
  }
});
