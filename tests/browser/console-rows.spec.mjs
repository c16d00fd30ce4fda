// Pages of the console when empty, with one row and with thousands, in both sizes and themes.

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { apiOf, expect, IS_LONG, PHONE, shoot, signInAsAdmin, test } from './people.mjs';

test.use({
  settings: {
    PAYMENT__DEMO__ENABLED: 'true',
    // The mail server can't be reached, so that jobs that send mail fail permanently.
    MAIL__SMTP_URL: 'smtp://127.0.0.1:9',
    JOBS__MAX_ATTEMPTS: '1'
  }
});
// Later tests use the data of earlier ones.
test.describe.configure({ mode: 'serial' });

const ROWS = 3_000;
const WIDE = { width: 1440, height: 900 };

/** Query of a search that finds nothing. */
const NOTHING = 'q=nothing-like-this';
const SECTIONS = [
  { path: '', name: 'overview' },
  { path: 'users', none: NOTHING, isMany: true },
  { path: 'workspaces', none: NOTHING },
  { path: 'conversations', none: NOTHING },
  { path: 'announcements' },
  { path: 'announcements?write=new', name: 'announcement' },
  { path: 'models' },
  { path: 'providers', none: 'status=off' },
  { path: 'usage' },
  { path: 'payments', none: 'status=disputed', isMany: true },
  { path: 'payments?view=subscriptions', name: 'subscriptions' },
  { path: 'payments?view=revenue', name: 'revenue' },
  { path: 'payments?view=differences', name: 'differences' },
  { path: 'plans' },
  { path: 'gateways' },
  { path: 'tools' },
  { path: 'jobs', none: 'status=running', isMany: true },
  { path: 'instances', none: NOTHING },
  { path: 'reports' },
  { path: 'bans', none: NOTHING, isMany: true },
  { path: 'audit-log', none: NOTHING, isMany: true },
  { path: 'settings', none: NOTHING },
  { path: 'setup' }
];

/** Visits these pages of the console. */
async function walk(browser, server, amount, sections = SECTIONS) {
  const context = await browser.newContext({ baseURL: server.url, viewport: WIDE });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  for (const { path, name = path, none, isMany } of sections) {
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize(WIDE);
    await page.goto(amount === 'no' && none ? `/admin/${path}?${none}` : `/admin/${path}`);
    const main = page.getByRole('main');
    await expect(main.getByRole('heading', { level: 1 })).toBeVisible();
    if (amount === 'thousands of' && isMany)
      await expect(main.getByRole('status').filter({ hasText: /of 3,?0\d\d/ })).toBeVisible();
    await expect(main.locator('.skeleton')).toHaveCount(0);
    await expect(main.getByRole('heading', { name: /^Couldn’t/ })).toHaveCount(0);
    for (const [size, viewport] of [
      ['1440', WIDE],
      ['390', PHONE.viewport]
    ]) {
      const what = `${name} with ${amount} rows, ${size}`;
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme: 'light' });
      await admin.expectFlawless(what);
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      expect.soft(beyond, what).toBeLessThanOrEqual(0);
      if (size === '390' && !IS_LONG) continue;
      await page.emulateMedia({ colorScheme: 'dark' });
      await admin.expectContrast(`${what}, dark`);
      await shoot(page, `rows-${amount.split(' ')[0]}-${name}-${size}`);
    }
  }
  await context.close();
}

test('console sections are accessible without rows', async ({ browser, server }) => {
  test.setTimeout(900_000);
  await walk(browser, server, 'no');
});

/** Creates one row for each page. */
async function makeOne(server, anna) {
  const api = await apiOf(server, server.admin);
  const { id: told } = await api.call('POST', '/r1/broadcasts', {
    title: 'Maintenance',
    body: '**Soon**',
    audience: { all: true }
  });
  await api.call('POST', `/r1/broadcasts/${told}/withdraw`, {});
  await api.call('PUT', '/r1/admin/models/best', { deployments: [{ provider: 'fake', model: 'small' }] });
  await api.call('POST', '/r1/admin/mcp_servers', { name: 'Docs', transport: 'http', url: 'https://localhost/mcp' });
  await api.call('POST', '/r1/admin/bans', { address: '203.0.113.0/24', seconds: 86_400, reason: 'Abuse' });
  const own = await apiOf(server, anna);
  const plan = (await own.call('GET', '/r1/pricing_plans')).items.find(({ kind }) => kind === 'credits');
  const answer = await fetch(`${server.url}/r1/payments/checkout`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${own.token}`,
      'idempotency-key': randomUUID()
    },
    body: JSON.stringify({ plan_id: plan.id, gateway: 'demo', currency: 'USD' })
  });
  const { data } = await answer.json();
  await own.call('POST', `/r1/payments/${data.payment_id}/demo`, { outcome: 'paid' });
  const dead = async () => (await api.call('GET', '/r1/admin/jobs?status=dead')).total;
  await expect(async () => expect(await dead()).toBeGreaterThan(0)).toPass();
}

test('console sections are accessible with one row', async ({ arrive, browser, server }) => {
  test.setTimeout(900_000);
  const anna = await arrive('Anna');
  await makeOne(server, anna);
  await walk(browser, server, 'one');
});

/** Copies the last row of a table `count` times. `change` names the fields that differ. */
function copies(database, table, where, change) {
  const row = database.prepare(`SELECT * FROM ${table} WHERE ${where} ORDER BY created_at DESC LIMIT 1`).get();
  const names = Object.keys(row).map((name) => `"${name}"`);
  const insert = database.prepare(`INSERT INTO ${table} (${names}) VALUES (${names.map(() => '?')})`);
  for (let at = 1; at <= ROWS; at += 1) {
    const id = Buffer.from(randomUUID().replaceAll('-', ''), 'hex');
    insert.run(...Object.values({ ...row, id, ...change(at) }));
  }
}

test('console sections are accessible with thousands of rows', async ({ browser, server }) => {
  test.setTimeout(900_000);
  const database = new DatabaseSync(join(server.folder, 'natter.db'), { timeout: 10_000 });
  database.exec('BEGIN IMMEDIATE');
  copies(database, 'users', "role = 'user'", (at) => {
    const name = `Crowd ${String(at).padStart(5, '0')}`;
    return { email: `${randomUUID()}@crowd.test`, display_name: name, search_name: name.toLowerCase() };
  });
  copies(database, 'audit_log', 'TRUE', () => ({}));
  copies(database, 'jobs', "status = 'dead'", () => ({}));
  copies(database, 'bans', 'TRUE', () => ({}));
  copies(database, 'payments', 'TRUE', () => ({
    idempotency_key: randomUUID(),
    reference: null,
    charge: null,
    receipt_year: null,
    receipt_number: null,
    check_at: null
  }));
  database.exec('COMMIT');
  database.close();
  // The other pages have no more rows than before.
  const sections = SECTIONS.filter(({ isMany }) => isMany);
  await walk(browser, server, 'thousands of', sections);
});

test('console sections report load failures', async ({ browser, server }) => {
  test.setTimeout(300_000);
  const context = await browser.newContext({ baseURL: server.url, viewport: WIDE });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  await page.route(/\/r1\/(admin\/|broadcasts\?|usage)/, (route) => route.abort());
  // These pages show a form, which sends no request at first.
  for (const { path, name = path } of SECTIONS.filter(({ name }) => name !== 'announcement')) {
    await page.setViewportSize(WIDE);
    await page.goto(`/admin/${path}`);
    await expect(
      page
        .getByRole('main')
        .getByText(/^Couldn’t/)
        .first(),
      name
    ).toBeVisible();
    await admin.expectFlawless(`${name}, which failed to load`);
    if (!IS_LONG) continue;
    await page.setViewportSize(PHONE.viewport);
    await admin.expectFlawless(`${name}, which failed to load, on a phone`);
  }
  await context.close();
});
