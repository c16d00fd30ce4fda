// Search: palette, page, filters, typing errors, empty results and opened hits.

import { randomUUID } from 'node:crypto';
import { apiOf, expect, PHONE, shoot, test } from './people.mjs';

/** Waits until messages can be found, because they are indexed a moment after they were sent. */
async function findable(person, q, count) {
  await expect
    .poll(async () => (await person.call('GET', `/r1/search?q=${encodeURIComponent(q)}`)).total.count, {
      timeout: 20_000
    })
    .toBe(count);
}

for (const [size, options] of [
  ['wide', {}],
  ['phone', PHONE]
])
  test(`finds, filters and opens messages: ${size}`, async ({ arrive, server }) => {
    const [anna, ben] = [await arrive('Anna', options), await arrive('Ben')];
    await anna.openChatWith(ben);
    const id = new URL(anna.page.url()).pathname.split('/').at(-1);
    const [her, his] = [await apiOf(server, anna), await apiOf(server, ben)];
    await his.send(id, 'The **dashboard** takes a second longer since noon');
    for (let n = 0; n < 30; n += 1) await her.send(id, `Something else, number ${n}`);
    await her.send(id, 'The dashboard latency is back: https://example.org/charts');
    await findable(her, 'dashboard', 2);

    // The palette lists messages and links to all results.
    await anna.page.goto('/');
    const search = anna.page.getByRole('button', { name: /^Search/ }).first();
    await search.click();
    const palette = anna.page.getByRole('dialog', { name: 'Command palette' });
    const input = palette.getByRole('combobox');
    await input.fill('dashb');
    await expect(palette.getByRole('group', { name: 'Messages' }).getByRole('option')).toHaveCount(3);
    await anna.expectFlawless('the palette with messages');
    // Operators become chips, which can be removed.
    await input.fill('from:me dash');
    await expect(palette.getByRole('list', { name: 'Filters' }).getByRole('listitem')).toHaveText(/from:.*You/);
    await expect(palette.getByRole('group', { name: 'Messages' }).getByRole('option')).toHaveCount(2);
    await palette.getByRole('button', { name: /^Remove from/ }).click();
    await input.fill('dashbord');
    await input.press('Control+Enter');

    // A typing error is corrected, and the correction is undone.
    await expect(anna.page).toHaveURL(/\/search\?q=dashbord/);
    const results = anna.page.getByRole('region', { name: 'Results' });
    const hits = results.getByRole('listitem').filter({ has: anna.page.getByRole('link') });
    await expect(hits).toHaveCount(2);
    await expect(results.getByText('Showing results for')).toContainText('dashboard');
    await expect(hits.first().locator('mark').first()).toHaveText('dashboard');
    await anna.expectFlawless('what was found');
    await results.getByRole('button', { name: 'Search for “dashbord” instead' }).click();
    await expect(results.getByRole('heading', { name: 'No results for “dashbord”' })).toBeVisible();
    await expect(anna.page).toHaveURL(/exact=true/);

    // On the page, a facet narrows the search, which the URL contains.
    const bar = anna.page.getByRole('combobox', { name: 'Search' });
    await bar.fill('dashboard');
    await expect(hits).toHaveCount(2);
    if (size === 'phone') await results.getByRole('button', { name: 'Filters' }).click();
    await anna.page
      .getByRole('group', { name: 'From' })
      .getByRole('checkbox', { name: new RegExp(ben.name) })
      .check();
    await expect(hits).toHaveCount(1);
    await expect(anna.page).toHaveURL(/from=[0-9a-f-]{36}/);
    await expect(anna.page.getByRole('list', { name: 'Filters' }).getByRole('listitem')).toContainText(ben.name);
    await anna.page.reload();
    await expect(hits).toHaveCount(1);
    await expect(anna.page.getByRole('list', { name: 'Filters' }).getByRole('listitem')).toContainText(ben.name);

    // Nothing is found, and the most restrictive filter is suggested first.
    await bar.press('End');
    await bar.pressSequentially(' has:link ');
    await expect(results.getByRole('heading', { name: 'No results for “dashboard”' })).toBeVisible();
    await anna.expectFlawless('no results');
    await results.getByRole('button', { name: /^Without from/ }).click();
    await expect(hits).toHaveCount(1);
    await expect(hits.first()).toContainText('charts');
    await anna.page.getByRole('button', { name: /^Remove has/ }).click();
    await expect(hits).toHaveCount(2);

    // A hit is selected by keyboard and opened with the messages around it.
    await bar.press('ArrowDown');
    await bar.page().keyboard.press('ArrowDown');
    await expect(hits.nth(1).getByRole('link')).toBeFocused();
    await hits.filter({ hasText: 'since noon' }).getByRole('link').click();
    await expect(anna.log.getByText('takes a second longer')).toBeInViewport();

    // The search is stored as a recent one.
    await anna.page.goto('/search');
    await expect(results.getByRole('link', { name: /dashboard/ })).toBeVisible();
    await anna.expectFlawless('the last searches');
    await results.getByRole('button', { name: 'Clear' }).click();
    await expect(results.getByRole('link')).toHaveCount(0);
  });

test('finds people, conversations and files', { tag: '@gate' }, async ({ arrive, register, server }) => {
  const [anna, ben] = [await arrive('Anna'), await register('Ben')];
  await anna.openChatWith(ben);
  const id = new URL(anna.page.url()).pathname.split('/').at(-1);
  const her = await apiOf(server, anna);
  await her.send(id, 'hello');
  await anna.page.goto(`/search?type=person&q=${encodeURIComponent(ben.name)}`);
  const results = anna.page.getByRole('region', { name: 'Results' });
  await results.getByRole('button', { name: `Message ${ben.name}` }).click();
  await expect(anna.page).toHaveURL(new RegExp(`/c/${id}`));
  await anna.page.goto('/search?type=conversation&q=general');
  await expect(results.getByRole('link', { name: /general/ }).first()).toBeVisible();
  await anna.expectFlawless('conversations that were found');
  await anna.page.goto('/search?type=file');
  await expect(results.getByRole('heading', { name: 'No results' })).toBeVisible();
  // The request fails and is retried.
  await anna.page.route(/\/r1\/search/, (route) =>
    route.fulfill({ status: 500, json: { code: 'internal', message: 'x' } })
  );
  await anna.page.goto('/search?q=hello');
  await expect(results.getByText('Couldn’t search').first()).toBeVisible();
  await anna.expectFlawless('a search that failed');
  await anna.page.unroute(/\/r1\/search/);
  await results.getByRole('button', { name: /again/i }).click();
  await expect(results.getByRole('listitem').first()).toBeVisible();
});

test('steps through matches in a conversation', { tag: '@gate' }, async ({ arrive, register, server }) => {
  const [anna, ben] = [await arrive('Anna'), await register('Ben')];
  const { page } = anna;
  await anna.openChatWith(ben);
  const id = new URL(page.url()).pathname.split('/').at(-1);
  const her = await apiOf(server, anna);
  await her.send(id, 'The lighthouse opens at nine');
  for (let n = 0; n < 40; n += 1) await her.send(id, `Something else, number ${n}`);
  await her.send(id, 'A lighthouse needs a keeper');
  for (let n = 0; n < 10; n += 1) await her.send(id, `Something more, number ${n}`);
  await findable(her, 'lighthouse', 2);
  await page.reload();
  await anna.sees('Something more, number 9');

  await anna.composer.focus();
  await page.keyboard.press('Control+f');
  const bar = page.getByRole('search', { name: 'Search in this conversation' });
  const field = bar.getByRole('searchbox');
  const said = bar.getByRole('status');
  await expect(field).toBeFocused();
  await field.fill('lighthouse');
  await expect(said).toHaveText(/^(2 matches|1 of 2)$/);
  // The newest match is selected first, then the older one, and then the newest again.
  await expect(async () => {
    if ((await said.textContent()) !== '1 of 2') await field.press('Enter');
    await expect(said).toHaveText('1 of 2', { timeout: 500 });
  }).toPass();
  await expect(anna.log.getByText('needs a keeper')).toBeInViewport();
  // The word is marked, not only its message.
  const marked = () => page.evaluate(() => [...CSS.highlights.get('found-words-selected')].map(String));
  await expect.poll(marked).toEqual(['lighthouse']);
  await field.press('Enter');
  await expect(said).toHaveText('2 of 2');
  await expect(anna.log.getByText('opens at nine')).toBeInViewport();
  await anna.expectFlawless('what was found in a conversation');
  await field.press('Enter');
  await expect(said).toHaveText('1 of 2');
  await field.press('Shift+Enter');
  await expect(said).toHaveText('2 of 2');
  await bar.getByRole('button', { name: 'Newer match' }).click();
  await expect(said).toHaveText('1 of 2');
  await expect(anna.log.getByText('needs a keeper')).toBeInViewport();
  await field.fill('zeppelin');
  await expect(said).toHaveText('No matches');

  // The shortcut moves the focus to the field. Pressed there, it opens the search of the browser.
  await anna.composer.focus();
  await page.keyboard.press('Control+f');
  await expect(field).toBeFocused();
  const isLeft = await field.evaluate((element) =>
    element.dispatchEvent(new KeyboardEvent('keydown', { key: 'f', ctrlKey: true, bubbles: true, cancelable: true }))
  );
  expect(isLeft).toBe(true);
  await page.keyboard.press('Escape');
  await expect(bar).toHaveCount(0);
  await expect(anna.composer).toBeFocused();
});

test('opens the find bar from the menu on phones', async ({ arrive, register, server }) => {
  const [anna, ben] = [await arrive('Anna', PHONE), await register('Ben')];
  const { page } = anna;
  await anna.openChatWith(ben);
  const id = new URL(page.url()).pathname.split('/').at(-1);
  const her = await apiOf(server, anna);
  await her.send(id, 'The lighthouse opens at nine');
  for (let n = 0; n < 30; n += 1) await her.send(id, `Something else, number ${n}`);
  await findable(her, 'lighthouse', 1);
  await anna.sees('Something else, number 29');
  await page.getByRole('main').locator('header').getByRole('button', { name: 'More actions' }).click();
  await page.getByRole('menuitem', { name: 'Search in this conversation' }).click();
  const bar = page.getByRole('search', { name: 'Search in this conversation' });
  const field = bar.getByRole('searchbox');
  await expect(field).toBeFocused();
  await field.fill('lighthouse');
  await field.press('Enter');
  await expect(bar.getByRole('status')).toHaveText('1 of 1');
  await expect(anna.log.getByText('opens at nine')).toBeInViewport();
  await anna.expectFlawless('what was found in a conversation on a phone');
  await bar.getByRole('button', { name: 'Close search' }).click();
  await expect(bar).toHaveCount(0);
  await expect(anna.log.getByText('opens at nine')).toBeVisible();
});

test('answers questions about search results', async ({ arrive, register, server, upstream }) => {
  const [anna, ben] = [await arrive('Anna'), await register('Ben')];
  const { page } = anna;
  await anna.openChatWith(ben);
  const id = new URL(page.url()).pathname.split('/').at(-1);
  const his = await apiOf(server, ben);
  await his.send(id, 'The heron arrives on Friday');
  await his.send(id, 'The heron likes the pond');
  await findable(his, 'heron', 2);
  await page.goto('/search?q=heron');
  const results = page.getByRole('region', { name: 'Results' });
  // Citations are numbered from the newest message on. Other numbers aren't citations.
  upstream.next({ words: ['It arrives on **Friday**.[2]', ' Nobody says when.[9]'] });
  await results.getByRole('button', { name: 'Ask about these results' }).click();
  const answer = page.getByRole('region', { name: 'Answer about the results' });
  await expect(answer).toContainText('It arrives on Friday');
  await expect(answer.getByRole('link', { name: /^Source 2: / })).toHaveCount(1);
  await expect(answer.getByRole('link', { name: /^Source 9: / })).toHaveCount(0);
  await anna.expectFlawless('an answer about what was found');

  // Further questions are answered from the same messages.
  const followUp = answer.getByRole('textbox', { name: 'Ask a follow-up' });
  await page.route(/\/r1\/search\/answer$/, (route) =>
    route.fulfill({ status: 503, json: { status: 'error', code: 'unavailable', message: 'No.' } })
  );
  await followUp.fill('Where is it?');
  await answer.getByRole('button', { name: 'Ask', exact: true }).click();
  await expect(answer).toContainText('Couldn’t get an answer');
  await page.unroute(/\/r1\/search\/answer$/);
  upstream.next({ words: ['At the pond.[1]'] });
  await answer.getByRole('button', { name: /again/i }).click();
  await expect(answer).toContainText('At the pond');
  await expect(answer).toContainText('Where is it?');
  await answer.getByRole('link', { name: /^Source 1: / }).click();
  await expect(anna.log.getByText('likes the pond')).toBeInViewport();
});

test('finds text in files', async ({ arrive, register, server }) => {
  const [anna, ben] = [await arrive('Anna'), await register('Ben')];
  const { page } = anna;
  await anna.openChatWith(ben);
  const id = new URL(page.url()).pathname.split('/').at(-1);
  const his = await apiOf(server, ben);
  const headers = { authorization: `Bearer ${his.token}`, 'content-type': 'text/plain', 'x-filename': 'marsh.txt' };
  const body = 'In the reeds the bittern booms at dusk.';
  const { data } = await (await fetch(`${server.url}/r1/uploads`, { method: 'POST', headers, body })).json();
  const message = { client_id: randomUUID(), content: 'From last night', attachment_ids: [data.id] };
  await his.call('POST', `/r1/conversations/${id}/messages`, message);
  await findable(his, 'bittern', 1);
  await page.goto('/search?q=bittern');
  const results = page.getByRole('region', { name: 'Results' });
  const hit = results.getByRole('listitem').filter({ has: page.getByRole('link') });
  await expect(hit).toContainText('In marsh.txt:');
  await expect(hit).toContainText('the bittern booms at dusk');
  await expect(hit.locator('mark')).toHaveText('bittern');
  await anna.expectFlawless('a word that was found in a file');
  await page.goto('/search?type=file&q=bittern');
  await expect(results.getByRole('listitem').first()).toContainText('the bittern booms at dusk');
  await results.getByRole('link', { name: /bittern/ }).click();
  await expect(anna.log.getByText('From last night')).toBeInViewport();
  // The palette finds the file by its name and by its content.
  await page.goto('/');
  await page
    .getByRole('button', { name: /^Search/ })
    .first()
    .click();
  const palette = page.getByRole('dialog', { name: 'Command palette' });
  const file = palette.getByRole('group', { name: 'Files' }).getByRole('option');
  await palette.getByRole('combobox').fill('marsh');
  await expect(file).toContainText('marsh.txt');
  await palette.getByRole('combobox').fill('bittern');
  await expect(file).toContainText('the bittern booms at dusk');
  await expect(palette.getByRole('group', { name: 'Messages' }).getByRole('option')).toHaveCount(1);
  await anna.expectFlawless('the palette with a file');
  await file.click();
  await expect(anna.log.getByText('From last night')).toBeInViewport();
});

test('opens a found reply in its thread', async ({ arrive, register, server }) => {
  const [anna, ben] = [await arrive('Anna'), await register('Ben')];
  const { page } = anna;
  await anna.openChatWith(ben);
  const id = new URL(page.url()).pathname.split('/').at(-1);
  const his = await apiOf(server, ben);
  const root = await his.call('POST', `/r1/conversations/${id}/messages`, {
    client_id: randomUUID(),
    content: 'Where do we eat?'
  });
  const reply = { client_id: randomUUID(), content: 'At the osteria', thread_id: root.id };
  await his.call('POST', `/r1/conversations/${id}/messages`, reply);
  for (let n = 0; n < 30; n += 1) await his.send(id, `Something else, number ${n}`);
  await findable(his, 'osteria', 1);
  await page.goto('/search?q=osteria');
  const hit = page.getByRole('region', { name: 'Results' }).getByRole('link', { name: /osteria/ });
  await expect(hit).toContainText('in a thread');
  await hit.click();
  const thread = page.getByRole('complementary', { name: 'Thread' });
  await expect(thread.getByRole('article').filter({ hasText: 'At the osteria' })).toBeInViewport();
  await expect(thread.getByText('Where do we eat?').first()).toBeVisible();
  await anna.expectFlawless('a reply that was found');
});

for (const [size, options] of [
  ['wide', { viewport: { width: 1440, height: 900 } }],
  ['phone', PHONE]
])
  test(`handles no result, one and more than five hundred: ${size}`, async ({ arrive, register, server }) => {
    test.setTimeout(240_000);
    const [anna, ben] = [await arrive('Anna', options), await register('Ben')];
    const { page } = anna;
    await anna.openChatWith(ben);
    const id = new URL(page.url()).pathname.split('/').at(-1);
    const his = await apiOf(server, ben);
    await his.send(id, 'One ptarmigan in the snow');
    for (let n = 0; n < 520; n += 20)
      await Promise.all(Array.from({ length: 20 }, (_, at) => his.send(id, `Sandpiper number ${n + at} on the shore`)));
    await findable(his, 'ptarmigan', 1);
    await findable(his, 'sandpiper', 500);
    const results = page.getByRole('region', { name: 'Results' });
    const hits = results.getByRole('listitem').filter({ has: page.getByRole('link') });
    const looksRight = async (what) => {
      expect(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), what).toBe(true);
      await anna.expectFlawless(what);
      await shoot(page, `search-${what.replaceAll(' ', '-')}-${size}`);
    };
    await page.goto('/search?q=kakapo');
    await expect(results.getByRole('heading', { name: 'No results for “kakapo”' })).toBeVisible();
    await looksRight('no result');
    await page.goto('/search?q=ptarmigan');
    await expect(hits).toHaveCount(1);
    await looksRight('one result');
    await page.goto('/search?q=sandpiper');
    await expect(results.getByText(/^More than 500 results/)).toBeVisible();
    await looksRight('hundreds of results');
    // Further results are loaded before the end is reached.
    await hits.nth(19).scrollIntoViewIfNeeded();
    await expect(hits.nth(39)).toBeAttached();
  });
