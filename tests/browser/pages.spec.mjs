// Every page in both themes: axe finds no violations. The lists of the console are in console-rows.spec.mjs.

import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { apiOf, DESKTOP, expect, shoot, signInAsAdmin, test, Visitor } from './people.mjs';

test.use({ settings: { PAYMENT__DEMO__ENABLED: 'true' } });

const ROUTES = new URL('../../frontend/src/routes', import.meta.url).pathname;

/** Pages by area: the folder of the route, and URLs with what `prepare` has created. */
const AREAS = {
  'sign-in': {
    '(auth)/sign-in': ['/sign-in'],
    '(auth)/sign-up': ['/sign-up'],
    '(auth)/forgot-password': ['/forgot-password'],
    '(auth)/reset-password': ['/reset-password?token=x', '/reset-password'],
    '(auth)/verify-email': ['/verify-email?token=x', '/verify-email'],
    '(auth)/confirm-email': ['/confirm-email?token=x', '/confirm-email'],
    '(auth)/invite': ['/invite'],
    '(auth)/login': ['/login?error=oauth_denied', '/login?challenge=x'],
    '(auth)/signed-in': ['/signed-in']
  },
  conversations: {
    '(app)': ['/'],
    '(app)/c/new': ['/c/new'],
    '(app)/c/[id]': [({ chat }) => `/c/${chat}`, ({ answered }) => `/c/${answered}`, `/c/${randomUUID()}`],
    '(app)/c/[id]/m/[message]': [
      ({ chat, message }) => `/c/${chat}/m/${message}`,
      ({ chat }) => `/c/${chat}/m/${randomUUID()}`
    ],
    '(app)/shared/[id]': [({ share }) => `/shared/${share}`, `/shared/${randomUUID()}`],
    '(app)/share': ['/share?text=Hello'],
    '(app)/threads': ['/threads'],
    '(app)/saved': ['/saved', '/saved?tab=scheduled', '/saved?tab=reminders', '/saved?tab=drafts'],
    '(app)/activity': ['/activity'],
    '(app)/channels': ['/channels', ({ channel }) => `/channels?preview=${channel}`],
    '(app)/people': ['/people'],
    '(app)/search': ['/search', '/search?q=tide', '/search?q=nothing-like-this']
  },
  work: {
    '(app)/tasks': ['/tasks'],
    '(app)/tasks/[board]': [({ chat }) => `/tasks/${chat}`, `/tasks/${randomUUID()}`],
    '(app)/notes/[[note]]': ['/notes', ({ note }) => `/notes/${note}`, `/notes/${randomUUID()}`],
    '(app)/prompts': ['/prompts'],
    '(app)/assistants': ['/assistants'],
    '(app)/assistants/new': ['/assistants/new'],
    '(app)/assistants/[assistant]': [({ assistant }) => `/assistants/${assistant}`]
  },
  account: {
    '(app)/settings': ['/settings'],
    '(app)/workspaces/[id]': [({ workspace }) => `/workspaces/${workspace}`, `/workspaces/${randomUUID()}`],
    '(app)/usage': ['/usage'],
    '(app)/plans': ['/plans'],
    '(app)/plans/buy': [({ pack }) => `/plans/buy?plan=${pack}`, '/plans/buy'],
    '(app)/plans/billing': ['/plans/billing'],
    '(app)/plans/result': [
      ({ payment }) => `/plans/result?payment=${payment}`,
      `/plans/result?payment=${randomUUID()}`
    ],
    '(app)/plans/demo': [({ payment }) => `/plans/demo?payment=${payment}`],
    '(app)/tools/connected/[[server]]': ['/tools/connected?state=x&code=x'],
    '(app)/[...path]': ['/no-such-page']
  },
  console: {
    '(app)/admin/[[section]]': ['/admin', '/admin/no-such-page'],
    '(app)/admin/payments/[id]': [({ payment }) => `/admin/payments/${payment}`, `/admin/payments/${randomUUID()}`],
    '(app)/admin/payments/ledger': [({ user }) => `/admin/payments/ledger?user=${user}`]
  }
};

test('every route is visited', { tag: '@gate' }, () => {
  const files = readdirSync(ROUTES, { recursive: true });
  const routes = files.filter((file) => /\+page\.(svelte|ts)$/.test(file)).map((file) => dirname(file));
  const visited = Object.values(AREAS).flatMap((area) => Object.keys(area));
  expect([...visited].sort()).toEqual([...new Set(routes)].sort());
});

/** Creates the objects whose pages are visited. */
async function prepare(server, anna, ben, carl) {
  const [api, bens, carls] = [await apiOf(server, anna), await apiOf(server, ben), await apiOf(server, carl)];
  const workspace = (await api.call('POST', '/r1/workspaces', { name: `Harbour of ${anna.name}` })).id;
  const chat = await api.openGroup('Quay', bens, carls);
  const message = (await api.send(chat, 'The **tide** turns at `six`:\n\n- [x] ropes\n- [ ] lamps')).id;
  await bens.call('POST', `/r1/conversations/${chat}/messages`, {
    client_id: randomUUID(),
    content: 'I see to it.',
    thread_id: message
  });
  await api.call('PUT', `/r1/messages/${message}/saved`, {});
  const column = await api.call('POST', `/r1/conversations/${chat}/board/columns`, { name: 'To do' });
  await api.call('POST', `/r1/conversations/${chat}/tasks`, { title: 'Lamps', column_id: column.id });
  const channel = (await bens.call('POST', '/r1/conversations', { kind: 'public_channel', title: `Pier ${ben.name}` }))
    .id;
  const note = randomUUID();
  await api.call('PUT', `/r1/notes/${note}`, { title: 'Monday call', content: 'Call the **pilot**.', version: 0 });
  const assistant = (await api.call('POST', '/r1/assistants', { name: `Pilot of ${anna.name}` })).id;
  const answered = (await api.call('POST', '/r1/conversations', { kind: 'assistant', assistant_id: assistant })).id;
  await api.send(answered, 'When does the tide turn?');
  const hasAnswer = async () => (await api.call('GET', `/r1/conversations/${answered}/messages`)).items.length > 1;
  await expect.poll(hasAnswer).toBe(true);
  const share = (await api.call('PUT', `/r1/conversations/${answered}/share`, {})).id;
  const plans = (await api.call('GET', '/r1/pricing_plans')).items;
  const pack = plans.find(({ kind }) => kind === 'credits').id;
  const checkout = await fetch(`${server.url}/r1/payments/checkout`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${api.token}`,
      'idempotency-key': randomUUID()
    },
    body: JSON.stringify({ plan_id: pack, gateway: 'demo', currency: 'USD' })
  });
  const payment = (await checkout.json()).data.payment_id;
  return { workspace, chat, message, channel, note, assistant, answered, share, pack, payment, user: api.id };
}

for (const [area, pages] of Object.entries(AREAS)) {
  test(`pages of the area “${area}” are accessible in both themes`, async ({ arrive, browser, server }) => {
    test.setTimeout(300_000);
    const options = { baseURL: server.url, viewport: DESKTOP, reducedMotion: 'reduce' };
    let visitor;
    let created = {};
    if (area !== 'sign-in') {
      const anna = await arrive('Anna', { reducedMotion: 'reduce' });
      created = await prepare(server, anna, await arrive('Ben'), await arrive('Carl'));
      visitor = area === 'console' ? await signInAsAdmin(await browser.newContext(options), server) : anna;
    } else visitor = new Visitor(await (await browser.newContext(options)).newPage(), 'Nobody');
    const { page } = visitor;
    for (const url of Object.values(pages).flat()) {
      const path = typeof url === 'string' ? url : url(created);
      await page.goto(path);
      await expect(page.getByRole('main'), path).toBeVisible();
      await expect(page.locator('.skeleton'), path).toHaveCount(0);
      await page.emulateMedia({ colorScheme: 'light' });
      await visitor.expectFlawless(path);
      await page.emulateMedia({ colorScheme: 'dark' });
      await visitor.expectContrast(`${path}, dark`);
      await shoot(page, `page-${area}-${path.slice(1).replaceAll(/\W+/g, '-')}`);
    }
    await page.context().close();
  });
}
