// Notes: editing, search, offline use, conflicts and sending.

import { readFile } from 'node:fs/promises';
import { apiOf, DESKTOP, expect, PASSWORD, PHONE, shoot, test } from './people.mjs';

test('keeps a note across a disconnect and a reload and sends it', { tag: '@gate' }, async ({ arrive, server }) => {
  const anna = await arrive('Anna', { viewport: { ...DESKTOP, width: 1440 } });
  const ben = await arrive('Ben');
  await anna.openChatWith(ben);
  const { page } = anna;
  await page.getByRole('link', { name: 'Notes' }).click();
  await expect(page.getByRole('heading', { name: 'No notes yet' })).toBeVisible();
  await expect(page.getByText('Notes are private')).toHaveCount(1);
  await anna.expectFlawless('no notes');
  await shoot(page, 'notes-empty-1440');
  await page.getByRole('button', { name: 'New note' }).first().click();
  const title = page.getByRole('textbox', { name: 'Title' });
  await expect(title).toBeFocused();
  await page.keyboard.type('Monday call');
  await page.keyboard.press('Enter');
  await page.keyboard.type('Eleven o’clock, **Mai** and Jonas.\n\n- [x] Read the notes\nAsk Priya');
  const text = page.getByRole('textbox', { name: 'Text' });
  await expect(text).toHaveValue(/- \[ \] Ask Priya$/);
  await expect(page.getByRole('status').filter({ hasText: 'Saved' })).toBeVisible();
  await expect(page.getByRole('link', { name: /Monday call/ })).toContainText('1 of 2');
  await anna.expectFlawless('a note');
  await shoot(page, 'notes-1440');
  // Wide screens can show a preview.
  await page.getByRole('button', { name: 'Preview' }).click();
  await expect(page.getByRole('region', { name: 'Preview' }).getByText('Mai', { exact: true })).toHaveCSS(
    'font-weight',
    /[67]\d\d/
  );
  await expect(text).toBeVisible();
  await anna.expectFlawless('a note as it is shown');
  await shoot(page, 'notes-preview-1440');
  await page.getByRole('button', { name: 'Write' }).click();

  // Changes made offline survive a reload.
  const api = await apiOf(server, anna);
  await page.route('**/r1/notes**', (route) => route.abort());
  await text.press('End');
  await text.pressSequentially(' by noon');
  await expect(page.getByText('Couldn’t sync. Retrying…')).toBeVisible({ timeout: 15_000 });
  await page.reload();
  await expect(text).toHaveValue(/by noon$/);
  await page.unroute('**/r1/notes**');
  await expect(page.getByText('All notes synced')).toBeVisible({ timeout: 20_000 });
  const id = new URL(page.url()).pathname.split('/').pop();
  await expect.poll(async () => (await api.call('GET', `/r1/notes/${id}`)).content).toMatch(/by noon$/);

  // After a reconnect they are uploaded on any page.
  await page.route('**/r1/notes**', (route) => route.abort());
  await text.press('End');
  await text.pressSequentially(', at the latest');
  await expect(page.getByText('Couldn’t sync. Retrying…')).toBeVisible({ timeout: 15_000 });
  await page.goto('/');
  await page.unroute('**/r1/notes**');
  await expect
    .poll(async () => (await api.call('GET', `/r1/notes/${id}`)).content, { timeout: 20_000 })
    .toMatch(/at the latest$/);
  await page.goto(`/notes/${id}`);

  // Changes of another device appear. In a conflict both versions are kept.
  const { version } = await api.call('GET', `/r1/notes/${id}`);
  await api.call('PUT', `/r1/notes/${id}`, { title: 'Monday call', content: 'From the other device', version });
  await expect(text).toHaveValue('From the other device');
  await page.route('**/r1/notes**', (route) => route.abort());
  await text.fill('Written here');
  await api.call('PUT', `/r1/notes/${id}`, { title: 'Monday call', content: 'Written there', version: version + 1 });
  await page.unroute('**/r1/notes**');
  await expect(page.getByText(/“Monday call” was changed on two devices/)).toBeVisible({ timeout: 20_000 });
  await expect(title).toHaveValue('Monday call (copy from computer)');
  await expect(text).toHaveValue('Written here');
  await anna.expectFlawless('a copy');
  await page.getByRole('link', { name: 'Compare', exact: true }).click();
  await expect(page.getByRole('region', { name: 'From the other device' })).toContainText('Written there');
  await anna.expectFlawless('two versions');
  await shoot(page, 'notes-compare-1440');
  await page.getByRole('region', { name: 'Written here' }).getByRole('button', { name: 'Keep this one' }).click();
  await expect(title).toHaveValue('Monday call');
  await expect(page.getByRole('link', { name: /Monday call/ })).toHaveCount(1);

  // A note is deleted, and that is undone.
  await page.getByRole('button', { name: 'Delete note' }).click();
  await page.getByRole('button', { name: 'Undo' }).last().click();
  await page.getByRole('link', { name: /Monday call/ }).click();
  await expect(text).toHaveValue('Written here');

  // A note is put into the composer and sent.
  await page.getByRole('button', { name: 'Send to chat' }).click();
  await anna.expectFlawless('where a note is sent to');
  await page.getByRole('dialog').getByRole('button', { name: ben.name }).click();
  await expect(anna.composer).toHaveValue('**Monday call**\n\nWritten here');
  await anna.composer.press('Enter');
  await ben.openConversation(anna.name);
  await ben.sees('Written here');
  // A note is created from a message, with a link back to it.
  await ben.log.getByText('Written here').hover();
  await ben.log.getByRole('button', { name: 'More actions' }).click();
  await ben.page.getByRole('menuitem', { name: 'Create note' }).click();
  await expect(ben.page.getByText('Note created.')).toBeVisible();
  await ben.page.getByRole('button', { name: 'Open', exact: true }).click();
  await expect(ben.page.getByRole('textbox', { name: 'Title' })).toHaveValue('Monday call');
  await expect(ben.page.getByRole('textbox', { name: 'Text' })).toHaveValue(
    /^> \*\*Monday call\*\*\n>\n> Written here\n\n\[.+\]\(http.+\/c\/.+\/m\/.+\)/
  );
  // The notes are exported as files.
  const [one] = await Promise.all([
    ben.page.waitForEvent('download'),
    ben.page.getByRole('button', { name: 'Download as Markdown' }).click()
  ]);
  expect(one.suggestedFilename()).toBe('Monday call.md');
  expect(await readFile(await one.path(), 'utf8')).toMatch(/^# Monday call\n\n> /);
  const [all] = await Promise.all([
    ben.page.waitForEvent('download'),
    ben.page.getByRole('button', { name: 'Download all notes' }).click()
  ]);
  expect((await readFile(await all.path())).subarray(0, 2).toString()).toBe('PK');
  // Another person can't read the note.
  await ben.page.goto(`/notes/${id}`);
  await expect(ben.page.getByRole('heading', { name: 'Note not found' })).toBeVisible();
});

test('shows notes on phones as list and page', async ({ arrive }) => {
  const anna = await arrive('Anna', PHONE);
  const { page } = anna;
  await page.getByRole('link', { name: 'Notes' }).click();
  await shoot(page, 'notes-empty-390');
  await page.getByRole('button', { name: 'New note' }).first().click();
  await page.getByRole('textbox', { name: 'Title' }).fill('Shopping');
  await page.getByRole('textbox', { name: 'Text' }).fill('Noodles');
  await page.getByRole('button', { name: 'Checklist' }).click();
  await expect(page.getByRole('textbox', { name: 'Text' })).toHaveValue('- [ ] Noodles');
  await anna.expectFlawless('a note on a phone');
  await shoot(page, 'notes-note-390');
  await page.getByRole('link', { name: 'Back to notes' }).click();
  await expect(page.getByRole('link', { name: /Shopping/ })).toBeVisible();
  await page.getByRole('searchbox', { name: 'Search notes' }).fill('nood');
  await expect(page.getByRole('link', { name: /Shopping/ })).toBeVisible();
  await page.getByRole('searchbox', { name: 'Search notes' }).fill('rice');
  await expect(page.getByText('No notes found.')).toBeVisible();
  await anna.expectFlawless('notes on a phone');
  await page.getByRole('searchbox', { name: 'Search notes' }).fill('');
  await shoot(page, 'notes-390');
});

test('keeps both versions of a note changed offline on two devices', async ({ arrive, browser, server }) => {
  const anna = await arrive('Anna');
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  try {
    await context.request.post(`${server.url}/r1/auth/signin`, {
      headers: { 'X-Natter-Transport': 'cookie', Origin: server.url },
      data: { email: anna.email, password: PASSWORD }
    });
    const pages = [anna.page, await context.newPage()];
    const api = await apiOf(server, anna);
    const id = crypto.randomUUID();
    const other = crypto.randomUUID();
    await api.call('PUT', `/r1/notes/${id}`, { title: 'Trip', content: 'Pack', version: 0 });
    await api.call('PUT', `/r1/notes/${other}`, { title: 'Only here', content: 'Tea', version: 0 });
    const text = (page) => page.getByRole('textbox', { name: 'Text' });
    for (const page of pages) {
      await page.goto(`/notes/${id}`);
      await expect(text(page)).toHaveValue('Pack');
      await expect(page.getByText('All notes synced')).toBeVisible();
    }
    for (const page of pages) await page.context().setOffline(true);
    await text(pages[0]).fill('Pack the tent');
    await text(pages[1]).fill('Pack the boots');
    // A change on one side only is no conflict.
    await pages[1].getByRole('link', { name: /Only here/ }).click();
    await expect(text(pages[1])).toHaveValue('Tea');
    await text(pages[1]).fill('Tea and bread');
    for (const page of pages) {
      await page.context().setOffline(false);
      await expect(page.getByText('All notes synced')).toBeVisible({ timeout: 30_000 });
    }
    const stored = async () => {
      const { items } = await api.call('GET', '/r1/notes');
      return items.map(({ content }) => content).toSorted();
    };
    await expect.poll(stored, { timeout: 30_000 }).toEqual(['Pack the boots', 'Pack the tent', 'Tea and bread']);
    for (const page of pages) {
      await expect(page.getByRole('link', { name: /^Trip/ })).toHaveCount(2, { timeout: 30_000 });
      await expect(page.getByRole('link', { name: /Only here.*Tea and bread/ })).toBeVisible();
    }
  } finally {
    await context.close();
  }
});

test('virtualises and searches a thousand notes', async ({ register, server }) => {
  test.setTimeout(120_000);
  const anna = await register('Anna');
  const { page } = anna;
  const api = await apiOf(server, anna);
  const COUNT = 1_000;
  const store = (number) => {
    const updated_at = new Date(Date.UTC(2026, 0, 1) + number * 60_000).toISOString();
    return api.call('PUT', `/r1/notes/${crypto.randomUUID()}`, {
      title: `Note ${number} of many`,
      content: `Words ${number}`,
      updated_at
    });
  };
  for (let at = 0; at < COUNT; at += 20) await Promise.all(Array.from({ length: 20 }, (_, index) => store(at + index)));
  await page.goto('/notes');
  await expect(page.getByText('All notes synced')).toBeVisible({ timeout: 60_000 });
  const list = page.getByRole('navigation', { name: 'Notes', exact: true });
  const rows = list.getByRole('link');
  await expect(list.getByRole('link', { name: 'Note 999 of many' })).toBeVisible();
  expect(await rows.count()).toBeLessThan(200);
  await anna.expectFlawless('a thousand notes');
  await shoot(page, 'notes-thousand');
  const oldest = list.getByRole('link', { name: 'Note 0 of many' });
  await expect
    .poll(
      async () => {
        await list.evaluate((element) => (element.scrollTop = element.scrollHeight));
        return oldest.count();
      },
      { intervals: [20], timeout: 30_000 }
    )
    .toBe(1);
  await oldest.click();
  await expect(page.getByRole('textbox', { name: 'Text' })).toHaveValue('Words 0');
  // The note is listed after returning to the page.
  await page.reload();
  await expect(page.getByRole('textbox', { name: 'Text' })).toHaveValue('Words 0');
  await expect(oldest).toHaveAttribute('aria-current', 'page');
  await page.getByRole('searchbox', { name: 'Search notes' }).fill('Note 777 of');
  await expect(rows).toHaveCount(1);
  await expect(rows.first()).toContainText('Note 777 of many');
});
