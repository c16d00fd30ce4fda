// Messages by keyboard, touch and clipboard, and the order of conversations.

import { apiOf, expect, PHONE, test } from './people.mjs';

/** Page of Anna in a conversation that has messages of both. */
async function annaWithBen(arrive, server, options) {
  const anna = await arrive('Anna', options);
  const ben = await arrive('Ben');
  await ben.openChatWith(anna);
  await ben.write('from Ben');
  await anna.openConversation(ben.name);
  for (const text of ['first of Anna', 'second of Anna']) await anna.write(text);
  await anna.sees('second of Anna');
  await ben.sees('second of Anna');
  return { anna, ben };
}

test('navigates and acts on messages by keyboard', { tag: '@gate' }, async ({ arrive, server }) => {
  const { anna } = await annaWithBen(arrive, server);
  const { page, composer } = anna;
  const article = (text) => page.getByRole('article').filter({ hasText: text });
  await composer.focus();
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('ArrowUp');
  await expect(article('second of Anna')).toBeFocused();
  await page.keyboard.press('ArrowUp');
  await expect(article('first of Anna')).toBeFocused();

  // Tab leads into the toolbar; Escape leads back to the message and then to the composer.
  const tools = article('first of Anna').getByRole('toolbar');
  await page.keyboard.press('Tab');
  // The quick reactions are one step for Tab; the arrow keys lead from one to the next.
  const quick = tools.getByRole('group', { name: 'Quick reactions' }).getByRole('button');
  await expect(quick).toHaveCount(6);
  await expect(quick.first()).toBeFocused();
  await page.keyboard.press('ArrowRight');
  await expect(quick.nth(1)).toBeFocused();
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('Tab');
  await expect(tools.getByRole('button', { name: 'React', exact: true })).toBeFocused();
  await page.keyboard.press('Tab');
  await expect(tools.getByRole('button', { name: 'Reply', exact: true })).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(article('first of Anna')).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(composer).toBeFocused();

  // Enter runs the action.
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('ArrowUp');
  await expect(article('second of Anna')).toBeFocused();
  await page.keyboard.press('ArrowUp');
  await expect(article('first of Anna')).toBeFocused();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await expect(tools.getByRole('button', { name: 'Reply', exact: true })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(composer).toBeFocused();
  await expect(page.getByText(/^Replying to/)).toBeVisible();
  await page.keyboard.press('Escape');

  // The keys of the actions work without the toolbar.
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('ArrowUp');
  await expect(article('second of Anna')).toBeFocused();
  await page.keyboard.press('e');
  await expect(composer).toHaveValue('second of Anna');
  await expect(page.getByText('to save')).toBeVisible();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('ArrowUp');
  await expect(article('second of Anna')).toBeFocused();
  await page.keyboard.press('Delete');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await expect(article('second of Anna')).toBeFocused();
  await page.keyboard.press('Delete');
  await page.keyboard.press('Enter');
  await expect(article('second of Anna')).toHaveCount(0);
  await anna.expectFlawless('messages by keys');
});

test('ignores the release of the long press that opened the action sheet', async ({ arrive, server }) => {
  const { anna, ben } = await annaWithBen(arrive, server, PHONE);
  const { page } = anna;
  const target = page.getByRole('article').filter({ hasText: 'second of Anna' });
  const sheet = page.getByRole('dialog', { name: 'Message actions' });
  const devtools = await page.context().newCDPSession(page);
  const touch = (type, points) => devtools.send('Input.dispatchTouchEvent', { type, touchPoints: points });
  const box = await target.boundingBox();
  const point = { x: box.x + 20, y: box.y + box.height / 2 };
  await touch('touchStart', [point]);
  await expect(sheet).toBeVisible();
  await touch('touchEnd', []);
  // The browser sends a click when the finger is lifted. It is sent to each action that may be below the finger.
  for (const name of ['Reply', 'Edit', 'Copy', 'Delete'])
    await sheet.getByRole('button', { name, exact: true }).evaluate((button) => {
      button.dispatchEvent(
        new MouseEvent('click', {
          bubbles: true,
          cancelable: true,
          detail: 1
        })
      );
    });
  await expect(sheet).toBeVisible();
  await sheet.getByRole('button', { name: 'Reply', exact: true }).tap();
  await expect(sheet).toHaveCount(0);
  await expect(page.getByText(/^Replying to/)).toBeVisible();
  await ben.sees('second of Anna');
});

test('keeps the open conversation’s place in the list and titles the tab', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const ben = await arrive('Ben');
  const cleo = await arrive('Cleo');
  for (const other of [ben, cleo]) {
    await other.openChatWith(anna);
    await other.write(`hello from ${other.name}`);
  }
  const { page } = anna;
  const list = page.getByRole('navigation', { name: 'Conversations' });
  await expect(list.getByText('1 unread')).toHaveCount(2);
  await expect(page).toHaveTitle('(2) Natter');
  const icon = page.locator('link[rel="icon"]');
  await expect(icon).toHaveAttribute('href', /^data:image\/svg/);
  await list.getByRole('link', { name: ben.name }).click();
  await anna.sees(`hello from ${ben.name}`);
  await expect(page).toHaveTitle(`(1) ${ben.name} · Natter`);
  const order = async () => (await list.getByRole('link').allInnerTexts()).filter((name) => name !== 'general');
  expect(await order()).toEqual([cleo.name, ben.name]);
  await list.getByRole('link', { name: cleo.name }).click();
  await anna.sees(`hello from ${cleo.name}`);
  await expect(page).toHaveTitle(`${cleo.name} · Natter`);
  await expect(icon).toHaveAttribute('href', /favicon\.svg$/);
  await expect(list.getByRole('heading', { name: 'Direct messages' })).toBeVisible();
  expect(await order()).toEqual([cleo.name, ben.name]);
});

test('doesn’t count deleted messages as unread', async ({ arrive, register, server }) => {
  const anna = await arrive('Anna');
  const ben = await register('Ben');
  const carl = await register('Carl');
  const [annas, bens, carls] = [await apiOf(server, anna), await apiOf(server, ben), await apiOf(server, carl)];
  const { page } = anna;
  const list = page.getByRole('navigation', { name: 'Conversations' });
  const unread = async (chat) => (await annas.call('GET', `/r1/conversations/${chat}`)).unread;

  /** Ben sends a message and deletes it, so that its sequence number isn't used by any. */
  async function sayAndDelete(chat) {
    const { id } = await bens.call('POST', `/r1/conversations/${chat}/messages`, {
      client_id: crypto.randomUUID(),
      content: 'a slip'
    });
    await bens.call('DELETE', `/r1/messages/${id}`);
    expect(await unread(chat)).toBe(1);
  }

  // The deleted message comes after others.
  const { id: chat } = await bens.call('POST', '/r1/conversations', {
    kind: 'single',
    member_ids: [annas.id]
  });
  await anna.openConversation(ben.name);
  await anna.write('hello');
  await anna.sees('hello');
  // The start page would open the conversation again.
  await page.goto('/saved');
  await sayAndDelete(chat);
  await page.reload();
  await expect(list.getByText('1 unread')).toBeVisible();
  await anna.openConversation(ben.name);
  await anna.sees('hello');
  await expect.poll(() => unread(chat)).toBe(0);

  // The deleted message is the only one.
  const { id: empty } = await bens.call('POST', '/r1/conversations', {
    kind: 'group',
    title: 'Slips',
    member_ids: [annas.id, carls.id]
  });
  await sayAndDelete(empty);
  await page.goto('/saved');
  await expect(list.getByText('1 unread')).toBeVisible();
  await anna.openConversation('Slips');
  await expect.poll(() => unread(empty)).toBe(0);
  await page.goto('/');
  await expect(list.getByRole('link', { name: 'Slips' })).toBeVisible();
  await expect(list.getByText('1 unread')).toHaveCount(0);
});

test('keeps a manual unread mark until the next visit', async ({ arrive, register, server }) => {
  const anna = await arrive('Anna');
  const ben = await register('Ben');
  const [annas, bens] = [await apiOf(server, anna), await apiOf(server, ben)];
  const { id: chat } = await bens.call('POST', '/r1/conversations', {
    kind: 'single',
    member_ids: [annas.id]
  });
  for (const content of ['The offer', 'The invoice', 'Thanks']) {
    await bens.call('POST', `/r1/conversations/${chat}/messages`, {
      client_id: crypto.randomUUID(),
      content
    });
  }
  const unread = async () => (await annas.call('GET', `/r1/conversations/${chat}`)).unread;
  const { page } = anna;
  const list = page.getByRole('navigation', { name: 'Conversations' });
  await anna.openConversation(ben.name);
  await anna.sees('Thanks');
  await expect.poll(unread).toBe(0);

  const invoice = anna.log.getByRole('article').filter({ hasText: 'The invoice' });
  await invoice.hover();
  await invoice.getByRole('button', { name: 'More actions' }).click();
  await page.getByRole('menuitem', { name: 'Mark as unread' }).click();
  await expect(list.getByText('2 unread')).toBeVisible();
  await expect(anna.log.getByText(/^New since/)).toBeVisible();
  // The conversation is visible and another message arrives: it stays unread, here and on the server.
  await bens.call('POST', `/r1/conversations/${chat}/messages`, {
    client_id: crypto.randomUUID(),
    content: 'One more'
  });
  await anna.sees('One more');
  await expect(list.getByText('3 unread')).toBeVisible();
  expect(await unread()).toBe(3);
  await anna.expectFlawless('a conversation with messages that were marked as unread');

  // At the next visit it is read. The menu of the conversation marks its last message unread.
  await page.goto('/saved');
  await expect(list.getByText('3 unread')).toBeVisible();
  await anna.openConversation(ben.name);
  await expect.poll(unread).toBe(0);
  await page.getByRole('main').getByRole('button', { name: 'More actions' }).first().click();
  await page.getByRole('menuitem', { name: 'Mark as unread' }).click();
  await expect(list.getByText('1 unread')).toBeVisible();
  // A reply marks the conversation read.
  await anna.write('Paid');
  await anna.sees('Paid');
  await expect(list.getByText('1 unread')).toHaveCount(0);
  expect(await unread()).toBe(0);
});

test('counts, lists and mentions members of a large group and appoints admins', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const api = await apiOf(server, anna);
  const { Person } = await import('../clients/server.mjs');
  const others = [];
  for (let at = 0; at < 24; at += 1)
    others.push(await Person.signUp(server.url, `Crew ${String.fromCharCode(97 + at)}x`));
  const id = await api.openGroup('Large crew', ...others);
  const { page, composer } = anna;
  await anna.openConversation('Large crew');
  await expect(page.getByRole('main').getByText('25 people').first()).toBeVisible();
  await composer.pressSequentially('@Crew xx');
  await expect(page.getByRole('option', { name: 'Crew xx' })).toBeVisible();
  await composer.fill('');
  await page.getByRole('button', { name: 'Members and details' }).click();
  const panel = page.getByRole('complementary', { name: 'Details' });
  await expect(panel.getByText('25 people')).toBeVisible();
  await expect(panel.getByRole('listitem').first()).toHaveAttribute('aria-setsize', '25');
  await panel.getByRole('searchbox', { name: 'Search members' }).press('ArrowDown');
  await page.keyboard.press('End');
  const row = panel.getByRole('listitem').filter({ hasText: 'Crew xx' });
  await row.getByRole('button', { name: 'Actions for Crew xx' }).click();
  await page.getByRole('menuitem', { name: 'Make admin' }).click();
  await expect(row.getByText('Admin', { exact: true })).toBeVisible();
  // The member is listed as an admin, with the menu open.
  await expect(row).toHaveAttribute('aria-posinset', '2');
  await row.getByRole('button', { name: 'Actions for Crew xx' }).click();
  // A change of the role moves the row. Its menu stays open and is updated.
  const crew = others.find(({ name }) => name === 'Crew xx');
  await api.call('PATCH', `/r1/conversations/${id}/members/${crew.id}`, {
    role: 'member'
  });
  await expect(row).toHaveAttribute('aria-posinset', '25');
  await expect(page.getByRole('menuitem', { name: 'Remove as admin' })).toHaveCount(0);
  await page.getByRole('menuitem', { name: 'Make admin' }).click();
  await expect(row).toHaveAttribute('aria-posinset', '2');
  await row.getByRole('button', { name: 'Actions for Crew xx' }).click();
  await page.getByRole('menuitem', { name: 'Remove as admin' }).click();
  await expect(row.getByText('Admin', { exact: true })).toHaveCount(0);
  await anna.expectFlawless('the details of a large group');
});

test('copies a message link and opens it', async ({ arrive, register, server }) => {
  const [anna, ben] = [await arrive('Anna'), await register('Ben')];
  const [annas, bens] = [await apiOf(server, anna), await apiOf(server, ben)];
  const { id: chat } = await bens.call('POST', '/r1/conversations', { kind: 'single', member_ids: [annas.id] });
  await bens.send(chat, 'The place where we meet');
  await anna.page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await anna.openConversation(ben.name);
  const meant = anna.log.getByRole('article').filter({ hasText: 'The place where we meet' });
  await meant.hover();
  await meant.getByRole('button', { name: 'More actions' }).click();
  await anna.page.getByRole('menuitem', { name: 'Copy link' }).click();
  await expect(anna.page.getByText('Link copied')).toBeVisible();
  const link = await anna.page.evaluate(() => navigator.clipboard.readText());
  expect(link).toMatch(new RegExp(`^${server.url}/c/${chat}/m/[\\da-f-]{36}$`));
  for (let number = 1; number <= 60; number += 1) await bens.send(chat, `Word ${number}.`);

  await ben.page.goto(link);
  const there = ben.log.getByRole('article').filter({ hasText: 'The place where we meet' });
  await expect(there).toHaveClass(/found/);
  await expect(there).toBeInViewport();
  await expect(ben.log.getByText('Word 60.')).not.toBeInViewport();
});
