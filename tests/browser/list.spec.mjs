// List of conversations: sections, AI chats by day and several at once, unread ones out of view, start with the last one; header of a conversation.

import { apiOf, expect, PHONE, shoot, test } from './people.mjs';

const LARGE = { viewport: { width: 1440, height: 900 } };

const section = (page, name) => page.locator('.list').getByRole('region', { name, exact: true });
const toggle = (page, name) => section(page, name).getByRole('button', { name, exact: true });
const nav = (page) => page.getByRole('navigation', { name: 'Conversations' });

/** Workspace in which an account is when it first opens the app. */
const firstWorkspace = async (api) =>
  (await api.call('GET', '/r1/workspaces')).items.find(({ personal }) => !personal).id;

const makeChannel = async (api, title, more = {}) =>
  api.call('POST', '/r1/conversations', {
    kind: 'private_channel',
    title,
    workspace_id: await firstWorkspace(api),
    ...more
  });

const say = (api, id, content) =>
  api.call('POST', `/r1/conversations/${id}/messages`, { client_id: crypto.randomUUID(), content });

/** Creates chats with the default assistant that have these titles. */
async function makeChats(api, titles) {
  const workspace_id = await firstWorkspace(api);
  const [assistant] = (await api.call('GET', `/r1/assistants?workspace_id=${workspace_id}`)).items;
  const ids = [];
  for (const title of titles) {
    const body = { kind: 'assistant', assistant_id: assistant.id, workspace_id, client_id: crypto.randomUUID() };
    const { id } = await api.call('POST', '/r1/conversations', body);
    await api.call('PATCH', `/r1/conversations/${id}`, { title });
    ids.push(id);
  }
  return ids;
}

test('keeps channels, direct messages and AI chats apart', { tag: '@gate' }, async ({ arrive, server }) => {
  const anna = await arrive('Anna', LARGE);
  const ben = await arrive('Ben');
  const [api, bensApi] = [await apiOf(server, anna), await apiOf(server, ben)];
  const { page } = anna;
  await makeChannel(api, 'harbour-masters');
  await api.openSingle(bensApi);
  await makeChats(api, ['Tides of Brest']);
  await expect(section(page, 'Channels').getByRole('link', { name: 'harbour-masters' })).toBeVisible();
  await expect(section(page, 'Direct messages').getByRole('link', { name: ben.name })).toBeVisible();
  await expect(section(page, 'AI chats').getByRole('link', { name: 'Tides of Brest' })).toBeVisible();
  await expect(section(page, 'AI chats').getByRole('heading', { name: 'Today' })).toBeVisible();
  await anna.expectFlawless('the sections of the list');
  await shoot(page, 'list-1440');

  // A collapsed section stays collapsed on this device.
  await toggle(page, 'Channels').press('Enter');
  await expect(section(page, 'Channels').getByRole('link')).toHaveCount(0);
  await page.reload();
  await expect(toggle(page, 'Channels')).toHaveAttribute('aria-expanded', 'false');
  await toggle(page, 'Channels').press('Enter');
  await expect(section(page, 'Channels').getByRole('link', { name: 'harbour-masters' })).toBeVisible();

  // Each section starts what belongs there.
  const dialog = page.getByRole('dialog');
  await section(page, 'Channels').getByRole('button', { name: 'Add channel' }).click();
  await expect(dialog.getByLabel('Channel name')).toBeVisible();
  await page.keyboard.press('Escape');
  await section(page, 'Direct messages').getByRole('button', { name: 'New direct message' }).click();
  await expect(dialog.getByRole('tab', { name: 'Direct message', selected: true })).toBeVisible();
  await page.keyboard.press('Escape');
  await section(page, 'AI chats').getByRole('button', { name: 'New AI chat' }).click();
  await expect(page).toHaveURL(/\/c\/new$/);
});

test('doesn’t ask the server about an AI chat that doesn’t exist yet', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const { page } = anna;
  const { id } = await makeChannel(await apiOf(server, anna), 'harbour-masters');
  const requests = [];
  page.on('request', (request) => requests.push(`${request.method()} ${new URL(request.url()).pathname}`));
  await section(page, 'AI chats').getByRole('button', { name: 'New AI chat' }).click();
  await anna.composer.fill('When is high');
  // A draft that is written later is uploaded.
  await anna.openConversation('harbour-masters');
  await expect(page.getByRole('heading', { level: 1, name: 'harbour-masters' })).toBeVisible();
  await anna.composer.fill('Half a thought');
  await expect.poll(() => requests).toContain(`PUT /r1/conversations/${id}/draft`);
  expect(requests.filter((request) => request.includes('/conversations/new'))).toEqual([]);
  // The question is still there.
  await section(page, 'AI chats').getByRole('button', { name: 'New AI chat' }).click();
  await expect(anna.composer).toHaveValue('When is high');
});

for (const [size, options] of [
  ['a large screen', LARGE],
  ['a phone', PHONE]
])
  test(`groups AI chats by day and deletes several at once, on ${size}`, async ({ arrive, server }) => {
    const anna = await arrive('Anna', options);
    const { page } = anna;
    const api = await apiOf(server, anna);
    const ids = await makeChats(api, ['Tides of Brest', 'Winds of Ushant', 'Waves of Quiberon']);
    const chats = section(page, 'AI chats');
    await expect(chats.getByRole('list', { name: 'Today' }).getByRole('listitem')).toHaveCount(3);
    for (const [days, label] of [
      [1, 'Yesterday'],
      [5, 'Previous 7 days'],
      [20, 'Previous 30 days']
    ]) {
      await page.clock.setFixedTime(Date.now() + days * 86_400_000);
      await page.reload();
      await expect(chats.getByRole('list', { name: label }).getByRole('listitem')).toHaveCount(3);
    }

    const select = chats.getByRole('button', { name: 'Select AI chats' });
    await select.focus();
    await select.press('Enter');
    const selection = page.locator('.list').getByRole('region', { name: 'Select AI chats' });
    await expect(selection.getByRole('button', { name: 'Delete' })).toBeDisabled();
    for (const name of [/Tides/, /Waves/]) await selection.getByRole('checkbox', { name }).check();
    await expect(selection.getByRole('status')).toHaveText('2 selected');
    await anna.expectFlawless(`selected AI chats, on ${size}`);
    await shoot(page, `list-selection-${size.replaceAll(' ', '-')}`);
    await selection.getByRole('button', { name: 'Delete' }).click();
    const question = page.getByRole('alertdialog', { name: 'Delete 2 AI chats?' });
    await anna.expectFlawless(`deletion of AI chats, on ${size}`);
    await question.getByRole('button', { name: 'Delete' }).click();
    await expect(page.getByText('2 AI chats deleted.')).toBeVisible();
    await expect(chats.getByRole('listitem')).toHaveCount(1);
    await expect(select).toBeFocused();
    const left = (await api.call('GET', '/r1/conversations')).items.map(({ id }) => id);
    expect(ids.filter((id) => left.includes(id))).toEqual([ids[1]]);

    // Archiving the rest, and restoring it.
    await select.press('Enter');
    await selection.getByRole('checkbox', { name: /Winds/ }).check();
    await selection.getByRole('button', { name: 'Archive' }).click();
    await expect(page.getByText('1 AI chat archived.')).toBeVisible();
    await expect(chats.getByRole('listitem')).toHaveCount(0);
    await chats.getByRole('button', { name: 'Archived AI chats' }).click();
    const archived = page.getByRole('dialog', { name: 'Archived AI chats' });
    await expect(archived.getByRole('listitem')).toHaveCount(1);
    await anna.expectFlawless(`archived AI chats, on ${size}`);
    await shoot(page, `list-archived-${size.replaceAll(' ', '-')}`);
    await archived.getByRole('button', { name: 'Unarchive Winds of Ushant' }).click();
    await expect(archived.getByText('No archived AI chats.')).toBeVisible();
    await page.keyboard.press('Escape');
    await expect(chats.getByRole('listitem')).toHaveCount(1);

    // Muting the rest.
    await select.press('Enter');
    await selection.getByRole('checkbox', { name: 'Select all' }).check();
    await selection.getByRole('button', { name: 'Mute' }).click();
    await expect(page.getByText('Muted. Mentions still show.')).toBeVisible();
    await expect(chats.getByText('Muted')).toBeAttached();
  });

test('counts the unread conversations out of view and scrolls to them', async ({ arrive, server }) => {
  const anna = await arrive('Anna', { viewport: { width: 1280, height: 720 } });
  const ben = await arrive('Ben');
  const [api, bensApi] = [await apiOf(server, anna), await apiOf(server, ben)];
  const { page } = anna;
  const direct = await api.openSingle(bensApi);
  const channels = [];
  for (let index = 10; index < 30; index += 1) channels.push((await makeChannel(api, `pier-${index}`)).id);

  // The first channel is the last of its section, so the list scrolls to it.
  await page.goto(`/c/${channels[0]}`);
  await expect(nav(page).getByRole('link', { name: 'pier-10' })).toBeInViewport();
  const chats = page.getByRole('link', { name: /^Chats/ });
  await expect(chats).toHaveAccessibleName('Chats');
  await say(bensApi, direct, 'Urgent: can you look?');
  const above = page.locator('.list').getByRole('button', { name: '1 unread above' });
  await expect(above).toBeVisible();
  await expect(chats).toHaveAccessibleName('Chats Unread');
  await anna.expectFlawless('an unread conversation out of view');
  await shoot(page, 'list-unread-above');
  const link = nav(page).getByRole('link', { name: ben.name });
  await expect(link).not.toBeInViewport();
  await above.click();
  await expect(link).toBeInViewport();
  await expect(link).toBeFocused();
  await expect(above).toHaveCount(0);

  // Opening what is visible doesn't scroll the list.
  const top = () => nav(page).evaluate(({ scrollTop }) => scrollTop);
  const before = await top();
  await page.keyboard.press('Enter');
  await anna.sees('Urgent: can you look?');
  await expect(link).toHaveAttribute('aria-current', 'page');
  expect(await top()).toBe(before);
  await expect(chats).toHaveAccessibleName('Chats');
});

test('starts with the conversation that was open last', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const { page } = anna;
  const api = await apiOf(server, anna);
  const { id: first } = await makeChannel(api, 'harbour-masters');
  const { id: second } = await makeChannel(api, 'lighthouses');
  for (const name of ['harbour-masters', 'lighthouses']) {
    await anna.openConversation(name);
    await expect(page.getByRole('heading', { level: 1, name })).toBeVisible();
  }
  await page.goto('/');
  await expect(page).toHaveURL(new RegExp(`/c/${second}$`));
  await expect(anna.composer).toBeVisible();
  // Also from another page, but not from the conversation itself.
  await page.getByRole('link', { name: 'Notes' }).click();
  await page.getByRole('link', { name: /^Chats/ }).click();
  await expect(page).toHaveURL(new RegExp(`/c/${second}$`));
  await page.getByRole('link', { name: /^Chats/ }).click();
  await expect(page).toHaveURL(/\/$/);
  // If it is gone, the one before is opened.
  await api.call('DELETE', `/r1/conversations/${second}`);
  await page.goto('/');
  await expect(page).toHaveURL(new RegExp(`/c/${first}$`));
});

test('starts with the list, on a phone', async ({ arrive, server }) => {
  const anna = await arrive('Anna', PHONE);
  const { page } = anna;
  await makeChannel(await apiOf(server, anna), 'harbour-masters');
  await anna.openConversation('harbour-masters');
  await page.goto('/');
  await expect(nav(page).getByRole('link', { name: 'harbour-masters' })).toBeVisible();
  await expect(page).toHaveURL(/\/$/);
  await anna.expectFlawless('the list, on a phone');
  await shoot(page, 'conversations-390');
});

test('shows one line for each conversation in the compact density', async ({ register, server }) => {
  const anna = await register('Anna', LARGE);
  const { page } = anna;
  const api = await apiOf(server, anna);
  const { id } = await makeChannel(api, 'harbour-masters');
  await makeChats(api, ['Tides of Brest']);
  await page.goto('/sign-in');
  await page.evaluate(() => localStorage.setItem('natter.density', 'compact'));
  await page.goto(`/c/${id}`);
  const row = page.locator('.list .conv').filter({ hasText: 'Tides of Brest' });
  await expect.poll(async () => (await row.boundingBox())?.height).toBeLessThanOrEqual(30);
  await anna.expectFlawless('the compact list');
  await shoot(page, 'list-compact-1440');
});

test('opens search, pins, files, board and people from the header', async ({ arrive, server }) => {
  const anna = await arrive('Anna', LARGE);
  const ben = await arrive('Ben');
  const { page } = anna;
  const [api, bensApi] = [await apiOf(server, anna), await apiOf(server, ben)];
  const { id } = await makeChannel(api, 'harbour-masters', { member_ids: [bensApi.id] });
  const said = await say(api, id, 'The bridge opens at six');
  await api.call('PUT', `/r1/messages/${said.id}/pin`);
  await page.goto(`/c/${id}`);
  const header = page.getByRole('main').locator('header');
  const press = (name) => header.getByRole('button', { name }).click();
  const panel = (name) => page.getByRole('complementary', { name, exact: true });
  await expect(header.getByRole('button', { name: 'Board' })).toBeVisible();
  await anna.expectFlawless('the header of a channel');
  await shoot(page, 'header-1440');
  await press('Search in this conversation');
  await expect(page.getByRole('search', { name: 'Search in this conversation' })).toBeVisible();
  await page.keyboard.press('Escape');
  await press('Pinned messages');
  await expect(panel('Pinned and saved').getByText('The bridge opens at six')).toBeVisible();
  await press('Pictures and files');
  await expect(panel('Pictures and files')).toBeVisible();
  await press('Board');
  await expect(panel('Board')).toBeVisible();
  await expect(header.getByRole('button', { name: 'Board' })).toHaveAttribute('aria-expanded', 'true');
  await press('Board');
  await expect(panel('Board')).toHaveCount(0);
  await press(/^Members and details/);
  await expect(panel('Details').getByText(ben.name)).toBeVisible();
  await anna.expectFlawless('the details of a channel');
  await shoot(page, 'header-details-1440');
});

test('has what doesn’t fit into the header in its menu, on a phone', async ({ arrive, server }) => {
  const anna = await arrive('Anna', PHONE);
  const { page } = anna;
  const { id } = await makeChannel(await apiOf(server, anna), 'harbour-masters');
  await page.goto(`/c/${id}`);
  const header = page.getByRole('main').locator('header');
  await header.getByRole('button', { name: 'More actions' }).click();
  for (const name of ['Search in this conversation', 'Pinned and saved', 'Pictures and files', 'Board'])
    await expect(page.getByRole('menuitem', { name, exact: true })).toBeVisible();
  await anna.expectFlawless('the menu of a channel, on a phone');
  await shoot(page, 'header-menu-390');
  await expect(header.getByRole('button', { name: 'Board' })).toHaveCount(0);
  await page.getByRole('menuitem', { name: 'Pinned and saved' }).click();
  await expect(page.getByRole('main', { name: 'Pinned and saved' })).toBeVisible();
});
