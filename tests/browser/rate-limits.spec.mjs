// Rate limits and banned networks.

import { request } from 'node:http';
import { startServer } from '../clients/server.mjs';
import { apiOf, DESKTOP, expect, PASSWORD, PHONE, test, Visitor } from './people.mjs';

async function newcomer(browser, server, name, options = {}) {
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP, ...options });
  const visitor = new Visitor(await context.newPage(), name);
  await visitor.signUp();
  return visitor;
}

test.describe('a banned address', () => {
  let server;
  let admin;
  const browsersAddress = '127.0.0.1';

  /** Sends a request from another address. */
  function call(method, path, body) {
    const { hostname, port } = new URL(server.url);
    const headers = { 'content-type': 'application/json', ...(admin && { authorization: `Bearer ${admin}` }) };
    return new Promise((resolve, reject) => {
      const asking = request({ hostname, port, method, path, headers, localAddress: '127.0.0.2' }, (answer) => {
        let text = '';
        answer
          .on('data', (piece) => (text += piece))
          .on('end', () => {
            if (answer.statusCode < 300) resolve(JSON.parse(text).data);
            else reject(new Error(`${method} ${path}: ${answer.statusCode} ${text}`));
          });
      });
      asking.on('error', reject).end(body && JSON.stringify(body));
    });
  }

  const ban = (seconds) =>
    call('POST', '/r1/admin/bans', { address: `${browsersAddress}/32`, seconds, reason: 'Guesses passwords' });

  test.beforeAll(async () => {
    server = await startServer({ RATE_LIMIT__ENABLED: 'true' });
    const account = { email: 'admin@example.test', password: PASSWORD, display_name: 'The Admin' };
    admin = (await call('POST', '/r1/auth/signup', account)).access_token;
  });
  test.afterAll(() => server.stop());

  test('shows the remaining time, keeps input and resumes when the ban is lifted', async ({ browser }) => {
    const anna = await newcomer(browser, server, 'Anna');
    await anna.openAssistant();
    await anna.composer.fill('half a thought');
    await anna.page.evaluate(() => (window.isSamePage = true));
    const { id } = await ban(7200);
    const title = anna.page.getByRole('heading', { name: 'Too many attempts from your network' });
    await expect(title).toBeVisible();
    await expect(anna.page.getByRole('timer')).toHaveText(/^Trying again in 1(19|20) min$/);
    await anna.page.keyboard.press('Escape');
    await expect(title).toBeVisible();
    await anna.expectFlawless('kept out in the middle of something');
    await call('DELETE', `/r1/admin/bans/${id}`);
    await expect(title).toHaveCount(0);
    await expect(anna.composer).toHaveValue('half a thought');
    await anna.write('a whole thought');
    await anna.sees('a whole thought');
    expect(await anna.page.evaluate(() => window.isSamePage)).toBe(true);
    await anna.page.context().close();
  });

  test('gets a ban page that resumes when the ban ends', async ({ browser }) => {
    const looks = [{ colorScheme: 'light' }, { ...PHONE, colorScheme: 'dark' }];
    const pages = [];
    for (const look of looks) pages.push(await (await browser.newContext({ baseURL: server.url, ...look })).newPage());
    const visitors = pages.map((page) => new Visitor(page, 'Nobody'));
    await ban(5);
    for (const { page } of visitors) {
      expect((await page.goto('/')).status()).toBe(403);
      await expect(page.getByRole('heading')).toHaveText('Too many attempts from your network');
      await expect(page.getByText('Trying again in 1 minute')).toBeVisible();
    }
    for (const visitor of visitors) await visitor.expectFlawless('the page of somebody who is kept out');
    for (const { page } of visitors) await expect(page.getByLabel('Email')).toBeVisible();
    for (const { page } of visitors) await page.context().close();
  });
});

/** Server that only one test uses. */
let own;
async function ownServer(settings) {
  own = await startServer(settings);
  return own;
}
test.afterEach(async () => {
  await own?.stop();
  own = undefined;
});

test('delays and repeats rate-limited reads', async ({ browser }) => {
  const server = await ownServer({
    RATE_LIMIT__ENABLED: 'true',
    FIREWALL__VIOLATIONS_TO_BAN: '0',
    RATE_LIMIT__READ__STRATEGY: 'sliding_window',
    RATE_LIMIT__READ__LIMIT: '4',
    RATE_LIMIT__READ__WINDOW: '5'
  });
  const anna = await newcomer(browser, server, 'Anna');
  const { page } = anna;
  const refused = [];
  page.on('response', (answer) => answer.status() === 429 && refused.push(answer.url()));
  const pill = page.getByText(/^Too many requests\. Retrying in \d s\.$/);
  await page.goto('/settings');
  await expect(pill).toBeVisible();
  await expect(page.getByRole('status').filter({ hasText: 'Retrying automatically' })).toBeVisible();
  const region = (name) => page.getByRole('region', { name, exact: true });
  const inTime = { timeout: 40_000 };
  await expect(region('Devices').getByText('This device')).toBeVisible(inTime);
  await expect(region('API keys').getByText(/No API keys yet/)).toBeVisible(inTime);
  // Further sections of the page send requests as well.
  await expect(pill).toHaveCount(0, inTime);
  await expect(page.getByRole('alert')).toHaveCount(0);
  expect(refused.length).toBeGreaterThan(0);
  await page.context().close();
});

test('delays rate-limited messages and sends them once and in order', async ({ browser }) => {
  const server = await ownServer({
    RATE_LIMIT__ENABLED: 'true',
    // The default, a token bucket, allows further messages as time passes, so that a slow test might not reach the limit.
    RATE_LIMIT__MESSAGE_SEND__STRATEGY: 'sliding_window',
    RATE_LIMIT__MESSAGE_SEND__LIMIT: '2',
    RATE_LIMIT__MESSAGE_SEND__WINDOW: '9'
  });
  const anna = await newcomer(browser, server, 'Anna');
  const ben = await newcomer(browser, server, 'Ben');
  await anna.openChatWith(ben);
  const words = ['one', 'two', 'three', 'four'];
  for (const word of words) await anna.write(word);
  await expect(anna.page.getByText('You’re sending too fast.')).toBeVisible();
  await expect(anna.page.getByText(/Your message will be sent in \d s\./)).toBeVisible();
  const api = await apiOf(server, anna);
  const conversation = anna.page.url().split('/').at(-1);
  const written = async () => {
    const { items } = await api.call('GET', `/r1/conversations/${conversation}/messages`);
    return items.map(({ content }) => content);
  };
  await expect.poll(written, { timeout: 40_000 }).toEqual(words);
  await anna.sees('four');
  await expect(anna.page.getByText('You’re sending too fast.')).toHaveCount(0);
  for (const { page } of [anna, ben]) await page.context().close();
});
