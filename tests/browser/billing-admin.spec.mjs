// Sales in the console: payments, plans and gateways, with the demo gateway.

import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { apiOf, DESKTOP, expect, PHONE, signInAsAdmin, test } from './people.mjs';

test.use({ settings: { PAYMENT__DEMO__ENABLED: 'true' } });

/** Makes a purchase with the given outcome. */
async function buy(server, visitor, what, outcome = 'paid', currency = 'USD') {
  const api = await apiOf(server, visitor);
  const plans = (await api.call('GET', '/r1/pricing_plans')).items;
  const plan = plans.find(what);
  const answer = await fetch(`${server.url}/r1/payments/checkout`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${api.token}`,
      'idempotency-key': crypto.randomUUID()
    },
    body: JSON.stringify({ plan_id: plan.id, gateway: 'demo', currency })
  });
  const { data } = await answer.json();
  await api.call('POST', `/r1/payments/${data.payment_id}/demo`, { outcome });
  return data.payment_id;
}

const isPack = ({ kind }) => kind === 'credits';

async function adminOf(browser, server) {
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  return { admin: await signInAsAdmin(context, server), context };
}

test('filters payments by URL', { tag: '@gate' }, async ({ arrive, browser, server }) => {
  const anna = await arrive('Anna');
  await buy(server, anna, isPack, 'paid', 'VND');
  await buy(server, anna, isPack, 'failed');
  const { admin, context } = await adminOf(browser, server);
  const { page } = admin;
  await page.goto('/admin');
  await page.getByRole('navigation', { name: 'Admin' }).getByRole('link', { name: 'Payments' }).click();
  const rows = page.getByRole('table', { name: 'Payments' }).getByRole('row');
  await expect(rows.filter({ hasText: anna.name })).toHaveCount(2);
  // The amount is in VND, which has no decimals.
  await expect(rows.filter({ hasText: 'Paid' }).filter({ hasText: anna.name })).toContainText(/₫\d{3},000/);
  await admin.expectFlawless('the payments');
  await page.getByLabel('Filter by state').selectOption({ label: 'Failed' });
  await expect(page).toHaveURL(/status=failed/);
  await expect(rows.filter({ hasText: anna.name })).toHaveCount(1);
  await page.getByLabel('Filter by state').selectOption({ label: 'Disputed' });
  await expect(page.getByText('No payments match.')).toBeVisible();
  await page.goBack();
  await expect(page.getByLabel('Filter by state')).toHaveValue('failed');
  await expect(rows.filter({ hasText: anna.name })).toHaveCount(1);
  await page.reload();
  await expect(rows.filter({ hasText: anna.name })).toHaveCount(1);
  await page.setViewportSize(PHONE.viewport);
  await admin.expectFlawless('the payments on a phone');
  await page.route(/\/r1\/admin\/payments/, (route) => route.abort());
  await page.reload();
  await expect(page.getByRole('heading', { name: 'Couldn’t load the payments' })).toBeVisible();
  await admin.expectFlawless('payments that failed to load');
  await context.close();
});

/** Changes the refunds of a payment to be a week old and without a response. The demo gateway itself answers at once. */
function leaveUnanswered(server, paymentId) {
  const database = new DatabaseSync(join(server.folder, 'natter.db'), { timeout: 10_000 });
  const id = Buffer.from(paymentId.replaceAll('-', ''), 'hex');
  const stuck =
    "state = 'pending', check_at = NULL, reported_at = NULL, refunded_at = NULL, credit_note_year = NULL, credit_note_number = NULL";
  database
    .prepare(
      `UPDATE payment_refunds SET ${stuck}, last_answer = 'no certain answer: it took too long' WHERE payment_id = ?`
    )
    .run(id);
  database.prepare("UPDATE payments SET refunded = 0, status = 'paid' WHERE id = ?").run(id);
  database.close();
}

test('decides refunds without a gateway response', async ({ arrive, browser, server }) => {
  const anna = await arrive('Anna');
  const bought = await buy(server, anna, isPack);
  const { admin, context } = await adminOf(browser, server);
  const { page } = admin;
  const api = await apiOf(server, server.admin);
  for (const [amount, reason] of [
    [100, 'The first part'],
    [200, 'The second part'],
    [250, 'The third part']
  ]) {
    await api.call('POST', `/r1/admin/payments/${bought}/refund`, { amount, reason });
  }
  leaveUnanswered(server, bought);
  await page.goto('/admin/payments');
  await page.getByRole('status').filter({ hasText: 'needs a decision' }).getByRole('link', { name: 'Review' }).click();
  await expect(page).toHaveURL(/refund=stuck/);
  await expect(page.getByLabel('Filter by state')).toHaveValue('stuck');
  const row = page.getByRole('table', { name: 'Payments' }).getByRole('row').filter({ hasText: anna.name });
  await expect(row).toHaveCount(1);
  await row.getByRole('link').click();

  const refunds = page.getByRole('region', { name: 'Refunds' }).getByRole('listitem');
  const [first, second, third] = ['first', 'second', 'third'].map((which) =>
    refunds.filter({ hasText: `The ${which} part` })
  );
  await expect(first).toContainText('Needs a decision');
  await expect(first).toContainText('Last answer: no certain answer: it took too long');
  await admin.expectFlawless('a payment with refunds that are stuck');
  const dialog = page.getByRole('dialog');
  await first.getByRole('button', { name: 'Decide the refund of $1.00' }).click();
  await dialog.getByRole('radio', { name: '$1.00 went back' }).check();
  await dialog.getByRole('button', { name: 'Mark as done' }).click();
  await expect(dialog.getByText('Enter a reason.')).toBeVisible();
  await admin.expectFlawless('the form for a decision about a refund');
  await dialog.getByLabel('Reason').fill('It is on the statement');
  await dialog.getByRole('button', { name: 'Mark as done' }).click();
  await expect(page.getByText('Refund of $1.00 marked as done.')).toBeVisible();
  await expect(first).toContainText('Done');
  await second.getByRole('button', { name: 'Decide the refund of $2.00' }).click();
  await dialog.getByRole('radio', { name: 'The money didn’t go back' }).check();
  await dialog.getByLabel('Reason').fill('It is not there');
  await dialog.getByRole('button', { name: 'Mark as failed' }).click();
  await expect(second).toContainText('Failed');
  // When it is queried again, the demo gateway knows the refund.
  await third.getByRole('button', { name: 'Decide the refund of $2.50' }).click();
  await dialog.getByLabel('Reason').fill('It answers again');
  await dialog.getByRole('button', { name: 'Ask again' }).click();
  await expect(third).toContainText('Done');
  await expect(page.getByText('Needs a decision')).toHaveCount(0);
  await page.setViewportSize(PHONE.viewport);
  await admin.expectFlawless('a payment with refunds on a phone');
  await page.goto('/admin/payments?refund=stuck');
  await expect(page.getByText('No refund needs a decision.')).toBeVisible();
  await page.setViewportSize(DESKTOP);
  await page.goto('/admin/audit-log');
  await expect(page.getByRole('row').filter({ hasText: 'Refund decided' })).toHaveCount(3);
  await context.close();
});

/** Creates a dispute in another currency, which the demo gateway can't do. */
function disputeInEuros(server, paymentId) {
  const database = new DatabaseSync(join(server.folder, 'natter.db'), { timeout: 10_000 });
  const id = Buffer.from(paymentId.replaceAll('-', ''), 'hex');
  const columns = 'payment_id, reference, amount, credits, state, created_at, reported_amount, reported_currency';
  database
    .prepare(`INSERT INTO payment_disputes (${columns}) VALUES (?, 'dp_1', 100, 0, 'open', ?, 90, 'EUR')`)
    .run(id, Date.now());
  database
    .prepare("UPDATE payments SET is_disputed = TRUE, quarantine = 'dispute', status = 'quarantined' WHERE id = ?")
    .run(id);
  database.close();
}

test('shows a dispute that doesn’t match its payment', async ({ arrive, browser, server }) => {
  const anna = await arrive('Anna');
  const bought = await buy(server, anna, isPack);
  disputeInEuros(server, bought);
  const { admin, context } = await adminOf(browser, server);
  const { page } = admin;
  await page.goto(`/admin/payments/${bought}`);
  const dispute = page.getByRole('region', { name: 'Disputes' }).getByRole('listitem');
  await expect(dispute).toContainText('$1.00');
  await expect(dispute).toContainText('reports a disputed amount of €0.90');
  await expect(dispute).toContainText('Open');
  const why = page.getByRole('status').filter({ hasText: 'a dispute whose amount or currency doesn’t fit' });
  await expect(why).toBeVisible();
  await admin.expectFlawless('a payment with a dispute that does not fit');
  await page.getByRole('button', { name: 'Decide', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Reason').fill('The bank counts in euros');
  await dialog.getByRole('button', { name: 'Decide', exact: true }).click();
  await expect(page.getByText('Payment released.')).toBeVisible();
  await expect(page.getByText('Disputed', { exact: true })).toBeVisible();
  await expect(why).toHaveCount(0);
  await page.setViewportSize(PHONE.viewport);
  await admin.expectFlawless('a payment with a dispute on a phone');
  await context.close();
});

test('grants credits', async ({ browser, register, server }) => {
  const anna = await register('Anna');
  const { admin, context } = await adminOf(browser, server);
  const { page } = admin;
  await page.goto('/admin/payments');
  await page.getByRole('button', { name: 'Grant credits' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Grant', exact: true }).click();
  await expect(dialog.getByText('Choose a person.')).toBeVisible();
  await expect(dialog.getByText('Enter a reason.')).toBeVisible();
  await admin.expectFlawless('the form for credits');
  await dialog.getByRole('searchbox').fill(anna.name);
  await dialog.getByRole('button', { name: anna.name }).click();
  await dialog.getByLabel('Credits').fill('12.5');
  await dialog.getByLabel('Reason').fill('For the trouble');
  await dialog.getByRole('button', { name: 'Grant', exact: true }).click();
  await expect(page.getByText(`12.5 credits granted to ${anna.name}.`)).toBeVisible();
  await anna.page.goto('/plans/billing');
  await expect(anna.page.getByRole('row').filter({ hasText: 'For the trouble' })).toContainText('+12.5');
  await context.close();
});

test('adds, replaces and withdraws a sold plan', async ({ arrive, browser, server }) => {
  const anna = await arrive('Anna');
  const { admin, context } = await adminOf(browser, server);
  const { page } = admin;
  await page.goto('/admin/plans');
  await expect(page.getByRole('row').filter({ hasText: 'Team' }).first()).toContainText('Offered');
  await admin.expectFlawless('the plans as admins see them');
  await page.getByRole('button', { name: 'Add plan' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Kind').selectOption({ label: 'Credits, one-time' });
  await dialog.getByLabel('Name', { exact: true }).fill('Handful');
  await dialog.getByLabel('Credits', { exact: true }).fill('40');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByText('Enter an amount for each currency, such as 24 or 24.50.')).toBeVisible();
  await admin.expectFlawless('the form for a plan');
  await dialog.getByRole('group', { name: 'Price in USD' }).getByLabel('Amount').fill('1,50');
  await dialog.getByRole('button', { name: 'Add currency' }).click();
  await dialog.getByRole('group', { name: 'Price in EUR' }).getByLabel('Currency').selectOption('VND');
  await dialog.getByRole('group', { name: 'Price in VND' }).getByLabel('Amount').fill('39.000');
  await dialog.getByRole('button', { name: 'Save' }).click();
  const row = page.getByRole('row').filter({ hasText: 'Handful' });
  await expect(row).toContainText('$1.50');
  await expect(row).toContainText('₫39,000');

  await buy(server, anna, ({ name }) => name === 'Handful');
  await row.getByRole('button', { name: 'Edit Handful' }).click();
  await dialog.getByRole('group', { name: 'Price in USD' }).getByLabel('Amount').fill('2');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('New version of Handful saved.')).toBeVisible();
  await expect(row).toHaveCount(1);
  await expect(row).toContainText('$2.00');
  await page.getByRole('link', { name: 'All', exact: true }).click();
  await expect(row).toHaveCount(2);
  await expect(row.filter({ hasText: 'Earlier version' })).toContainText('$1.50');
  await page.setViewportSize(PHONE.viewport);
  await admin.expectFlawless('all plans on a phone');
  await page.setViewportSize(DESKTOP);

  await row.getByRole('button', { name: 'Withdraw Handful' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Withdraw' }).click();
  await expect(row.filter({ hasText: 'Offered' })).toHaveCount(0);
  await anna.page.goto('/plans');
  await expect(anna.page.getByRole('article', { name: 'Team' })).toBeVisible();
  await expect(anna.page.getByRole('link', { name: 'Buy 40 credits' })).toHaveCount(0);
  await context.close();
});

test('disables and enables a gateway', async ({ browser, register, server }) => {
  const anna = await register('Anna');
  const { admin, context } = await adminOf(browser, server);
  const { page } = admin;
  await page.goto('/admin/gateways');
  const toggle = page.getByRole('switch', { name: 'Demo payment on or off' });
  await expect(toggle).toBeChecked();
  await admin.expectFlawless('the payment methods');
  await toggle.click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Turn off' }).click();
  await expect(toggle).not.toBeChecked();
  await anna.page.goto('/plans');
  await anna.page.getByRole('link', { name: 'Choose Team' }).click();
  await expect(anna.page.getByRole('heading', { name: 'You can’t pay right now' })).toBeVisible();
  await toggle.click();
  await expect(toggle).toBeChecked();
  await anna.page.getByRole('button', { name: 'Try again' }).click();
  await expect(anna.page.getByRole('radio', { name: /Demo payment/ })).toBeChecked();
  await page.setViewportSize(PHONE.viewport);
  await admin.expectFlawless('the ways to pay on a phone');
  await context.close();
});
