// Channels: creation, directory, preview, posting, muting, sections and archive.

import { Person } from '../clients/server.mjs';
import { apiOf, DESKTOP, expect, PHONE, test } from './people.mjs';

const LIST = (page) => page.locator('.list');
const ROW = (page, name) => page.locator('.list .conv').filter({ has: page.getByRole('link', { name, exact: true }) });
const PART = (page, name) => page.locator('.list').getByRole('region', { name, exact: true });

/** Creates a workspace with these people, which the first of them owns. */
async function workspaceOf(server, name, ...visitors) {
  const apis = await Promise.all(visitors.map((visitor) => apiOf(server, visitor)));
  const { id } = await apis[0].call('POST', '/r1/workspaces', { name });
  for (const { id: user_id } of apis.slice(1)) await apis[0].call('POST', `/r1/workspaces/${id}/members`, { user_id });
  for (const { page } of visitors) {
    await page.evaluate((workspace) => localStorage.setItem('natter.workspace', workspace), id);
    await page.goto('/');
    await expect(page.getByRole('button', { name: `Workspace: ${name}` })).toBeVisible();
  }
  return { id, apis };
}

const makeChannel = (api, workspace_id, title, more = {}) =>
  api.call('POST', '/r1/conversations', {
    kind: 'public_channel',
    title,
    workspace_id,
    ...more
  });

async function openMenu(page, name) {
  await page.getByRole('link', { name, exact: true }).first().click({ button: 'right' });
  await expect(page.getByRole('menu')).toBeVisible();
}

test('creates, browses, previews and joins a channel', { tag: '@gate' }, async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const ben = await arrive('Ben');
  const { id: workspace } = await workspaceOf(server, 'Harbour', anna, ben);
  const { page } = anna;

  await page.goto('/channels');
  await expect(page.getByRole('heading', { level: 1, name: 'Channels' })).toBeVisible();
  await page.getByRole('button', { name: 'New channel' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Create channel' }).click();
  await expect(dialog.getByText('Enter a channel name.')).toBeVisible();
  await dialog.getByLabel('Channel name').fill('General');
  await dialog.getByLabel('Topic').fill('What customers said');
  await anna.expectFlawless('the form for a channel');
  // The name is taken, because every workspace has this channel.
  await dialog.getByRole('button', { name: 'Create channel' }).click();
  await expect(dialog.getByText('A channel with this name already exists.')).toBeVisible();
  await dialog.getByLabel('Channel name').fill('field-notes');
  await dialog.getByRole('button', { name: 'Create channel' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'field-notes' })).toBeVisible();
  await anna.write('They stopped writing emails');
  await anna.sees('They stopped writing emails');
  await anna.expectFlawless('a channel');

  await ben.page.goto('/channels');
  const found = ben.page.getByRole('main').getByRole('listitem');
  await expect(found.filter({ hasText: 'general' })).toContainText('Joined');
  await expect(found.first()).toContainText('general');
  await ben.page.getByRole('searchbox', { name: 'Search channels' }).fill('field');
  await expect(found).toHaveCount(1);
  await ben.page.getByRole('link', { name: 'field-notes' }).click();
  const preview = ben.page.getByRole('complementary', {
    name: 'Preview of field-notes'
  });
  await expect(preview.getByText('They stopped writing emails')).toBeVisible();
  await expect(preview.getByRole('button', { name: 'Join field-notes' })).toHaveAccessibleDescription(/in your list/);
  await ben.expectFlawless('channels, and the preview of one');
  await expect(LIST(ben.page).getByRole('link', { name: 'field-notes' })).toHaveCount(0);

  // A channel can be read without joining, but nothing can be posted.
  await preview.getByRole('link', { name: 'Read all messages' }).click();
  await ben.sees('They stopped writing emails');
  await expect(ben.composer).toHaveCount(0);
  await ben.expectFlawless('a channel that one hasn’t joined');
  await ben.page.getByRole('button', { name: 'Join field-notes' }).click();
  await expect(ben.composer).toBeVisible();
  await expect(LIST(ben.page).getByRole('link', { name: 'field-notes' })).toBeVisible();
  await ben.write('It took a week');
  await anna.sees('It took a week');
  await anna.write('Until nobody missed them');
  await ben.sees('Until nobody missed them');

  await ben.page.goto('/channels');
  await ben.page.getByRole('button', { name: 'Not joined' }).click();
  await expect(ben.page.getByText('You’re in every channel')).toBeVisible();
  await ben.page.getByRole('searchbox', { name: 'Search channels' }).fill('zzz');
  await expect(ben.page.getByText('No results for “zzz”')).toBeVisible();
  await ben.expectFlawless('no channels');

  // The palette also lists channels that the user has not joined.
  const bikes = await makeChannel(await apiOf(server, anna), workspace, 'bikes', { topic: 'Thursday rides' });
  await ben.page.keyboard.press('ControlOrMeta+k');
  await ben.page.getByRole('combobox').fill('bikes');
  await ben.page.getByRole('option', { name: /Browse: bikes/ }).click();
  await expect(ben.page).toHaveURL(new RegExp(`/c/${bikes.id}$`));
  await expect(ben.page.getByRole('button', { name: 'Join bikes' })).toBeVisible();
});

test('organises the sidebar by keyboard', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const ben = await arrive('Ben');
  const { id: workspace, apis } = await workspaceOf(server, 'Harbour', anna, ben);
  const [annaApi, benApi] = apis;
  const news = await makeChannel(annaApi, workspace, 'news', {
    member_ids: [benApi.id]
  });
  const secret = await makeChannel(annaApi, workspace, 'board-papers', {
    kind: 'private_channel',
    member_ids: [benApi.id]
  });
  const { page } = ben;
  await expect(LIST(page).getByRole('link', { name: 'news' })).toBeVisible();
  await page.goto('/');

  const say = (id, content) =>
    annaApi.call('POST', `/r1/conversations/${id}/messages`, {
      client_id: crypto.randomUUID(),
      content
    });
  await say(news.id, 'The price list is out');
  await expect(PART(page, 'Unread').getByRole('link', { name: 'news' })).toBeVisible();
  await expect(ROW(page, 'news').getByText('1 unread')).toBeAttached();
  await ben.expectFlawless('an unread channel');

  // Messages of a muted channel are counted, but don't make it unread.
  await openMenu(page, 'news');
  await page.getByRole('menuitem', { name: 'Mute' }).press('ArrowRight');
  await page.getByRole('menuitem', { name: 'For 1 hour' }).press('Enter');
  await expect(PART(page, 'Unread')).toHaveCount(0);
  await expect(ROW(page, 'news')).toHaveClass(/muted/);
  expect(await page.title()).toBe('Natter');
  await page.reload();
  await expect(ROW(page, 'news')).toHaveClass(/muted/);

  // A channel is moved into a section by keyboard.
  await LIST(page).getByRole('link', { name: 'news' }).focus();
  await page.keyboard.press('Shift+F10');
  await page.getByRole('menuitem', { name: /Move to section/ }).press('ArrowRight');
  await page.getByRole('menuitem', { name: 'New section…' }).press('Enter');
  await page.getByRole('dialog').getByLabel('Section name').fill('Launch');
  await page.keyboard.press('Enter');
  await expect(PART(page, 'Launch').getByRole('link', { name: 'news' })).toBeVisible();
  await LIST(page).getByRole('link', { name: 'board-papers' }).focus();
  await page.keyboard.press('Shift+F10');
  await page.getByRole('menuitem', { name: /Move to section/ }).press('ArrowRight');
  await page.getByRole('menuitemradio', { name: 'Launch' }).press('Enter');
  await expect(PART(page, 'Launch').getByRole('listitem')).toHaveCount(2);
  await ben.expectFlawless('sections');
  await PART(page, 'Launch').getByRole('button', { name: 'Launch', exact: true }).press('Enter');
  await expect(PART(page, 'Launch').getByRole('listitem')).toHaveCount(0);
  await page.reload();
  await expect(PART(page, 'Launch').getByRole('button', { name: 'Launch', exact: true })).toHaveAttribute(
    'aria-expanded',
    'false'
  );
  await PART(page, 'Launch').getByRole('button', { name: 'Launch', exact: true }).press('Enter');

  // A channel is dragged out of the section.
  await ROW(page, 'board-papers').dragTo(PART(page, 'Channels'));
  await expect(PART(page, 'Channels').getByRole('link', { name: 'board-papers' })).toBeVisible();
  await openMenu(page, 'board-papers');
  await page.getByRole('menuitem', { name: 'Pin to the top' }).click();
  await expect(PART(page, 'Pinned').getByRole('link', { name: 'board-papers' })).toBeVisible();

  await PART(page, 'Launch').getByRole('button', { name: 'Actions for section Launch' }).press('Enter');
  await page.getByRole('menuitem', { name: 'Delete section' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Delete section' }).click();
  await expect(PART(page, 'Launch')).toHaveCount(0);
  await expect(LIST(page).getByRole('link', { name: 'news' })).toBeVisible();
  expect((await benApi.call('GET', `/r1/conversations/${secret.id}`)).own.pinned).toBe(true);
});

test('configures, restricts, archives and leaves a channel', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const ben = await arrive('Ben');
  const { id: workspace, apis } = await workspaceOf(server, 'Harbour', anna, ben);
  const { id } = await makeChannel(apis[0], workspace, 'launch', {
    member_ids: [apis[1].id]
  });
  const { page } = anna;
  await ben.page.goto(`/c/${id}`);
  await expect(ben.composer).toBeVisible();
  await page.goto(`/c/${id}`);
  const settings = async () => {
    await page.getByRole('main').locator('header').getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Channel settings' }).click();
    return page.getByRole('dialog', { name: 'Channel settings' });
  };
  const dialog = await settings();
  await dialog.getByLabel('Channel name').fill('launch-week');
  await dialog.getByLabel('Topic').fill('Press, site, support');
  await dialog.getByLabel('Who can post').selectOption('Only admins');
  await dialog.getByRole('button', { name: 'Save', exact: true }).click();
  await expect(page.getByText('Saved.')).toBeVisible();
  await anna.expectFlawless('the settings of a channel');
  await expect(ben.page.getByRole('heading', { level: 1, name: 'launch-week' })).toBeVisible();
  await expect(ben.page.getByText('Only admins can post here')).toBeVisible();
  await expect(ben.composer).toHaveCount(0);
  await ben.expectFlawless('a channel for announcements');

  await dialog.getByRole('button', { name: 'Add admin' }).click();
  await dialog.getByRole('button', { name: ben.name }).click();
  await expect(dialog.getByRole('list', { name: 'Channel admins' }).getByText(ben.name)).toBeVisible();
  await expect(ben.composer).toBeVisible();

  await dialog.getByRole('button', { name: 'Archive', exact: true }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Archive' }).click();
  await expect(ben.page.getByText('This channel is archived')).toBeVisible();
  await expect(ben.composer).toHaveCount(0);
  await ben.expectFlawless('an archived channel');
  await page.keyboard.press('Escape');
  await page.getByRole('main').getByRole('button', { name: 'Unarchive' }).click();
  await expect(anna.composer).toBeVisible();

  await ben.page.getByRole('main').locator('header').getByRole('button', { name: 'More actions' }).click();
  await ben.page.getByRole('menuitem', { name: 'Leave' }).click();
  await ben.page.getByRole('alertdialog').getByRole('button', { name: 'Leave' }).click();
  await expect(LIST(ben.page).getByRole('link', { name: 'launch-week' })).toHaveCount(0);

  // The default channel can't be left.
  await page.goto('/');
  await LIST(page).getByRole('link', { name: 'general' }).click();
  await page.getByRole('main').locator('header').getByRole('button', { name: 'More actions' }).click();
  await expect(page.getByRole('menuitem', { name: /Leave/ })).toHaveAttribute('aria-disabled', 'true');
  await expect(page.getByRole('menuitem', { name: /Leave/ })).toContainText('Default channel');
});

const LOOKS = [
  {
    name: 'desktop, dark',
    tag: '@long',
    options: { viewport: DESKTOP, colorScheme: 'dark' }
  },
  { name: 'phone, light', options: { ...PHONE, colorScheme: 'light' } },
  {
    name: 'phone, dark',
    tag: '@long',
    options: { ...PHONE, colorScheme: 'dark' }
  }
];

for (const { name, tag = [], options } of LOOKS) {
  test(`channel screens are accessible (${name})`, { tag }, async ({ arrive, server }) => {
    const anna = await arrive('Anna', options);
    const { id: workspace, apis } = await workspaceOf(server, 'Harbour', anna);
    const ben = await Person.signUp(server.url, 'Ben');
    await apis[0].call('POST', `/r1/workspaces/${workspace}/members`, {
      user_id: ben.id
    });
    const title = 'a-channel-with-a-name-that-is-longer-than-any-row-can-show-at-once';
    const other = await makeChannel(ben, workspace, title, {
      topic: `${'Everything about it. '.repeat(12)}`
    });
    await ben.call('POST', `/r1/conversations/${other.id}/messages`, {
      client_id: crypto.randomUUID(),
      content: 'Hello from **Ben**, who mentions @everyone'
    });
    const { page } = anna;
    await page.goto('/channels');
    await expect(page.getByRole('main').getByRole('listitem')).toHaveCount(2);
    await anna.expectFlawless('channels');
    await page.getByRole('link', { name: title }).click();
    await expect(page.getByText('Hello from')).toBeVisible();
    await anna.expectFlawless('a preview');
    const join = page.getByRole('button', { name: `Join ${title}` }).last();
    const [panel, button] = [await page.locator('.panel').last().boundingBox(), await join.boundingBox()];
    expect(button.x + button.width).toBeLessThanOrEqual(panel.x + panel.width);
    await join.click();
    await expect(page).toHaveURL(new RegExp(`/c/${other.id}$`));
    await expect(anna.composer).toBeVisible();
    await anna.expectFlawless('a channel');
    await page.getByRole('main').locator('header').getByRole('button', { name: 'More actions' }).click();
    await expect(page.getByRole('menu')).toBeVisible();
    await anna.expectFlawless('its menu');
    await page.getByRole('menuitem', { name: 'Channel settings' }).click();
    await expect(page.getByRole('dialog')).toBeVisible();
    await anna.expectFlawless('its settings');
    await page.keyboard.press('Escape');
    await page.goto('/channels');
    await page.getByRole('button', { name: 'New channel' }).click();
    await expect(page.getByRole('dialog')).toBeVisible();
    await anna.expectFlawless('the form for a channel');
  });
}

test('hides history from new members and restricts @all to admins', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const ben = await arrive('Ben');
  const { apis } = await workspaceOf(server, 'Harbour', anna, ben);
  const [annaApi, benApi] = apis;
  const { page } = anna;

  await page.goto('/channels');
  await page.getByRole('button', { name: 'New channel' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Channel name').fill('board-papers');
  const history = dialog.getByRole('switch', { name: 'New people see earlier messages' });
  await expect(history).toHaveCount(0);
  await dialog.getByRole('radio', { name: /Private/ }).check();
  await expect(history).toBeChecked();
  await history.click();
  await expect(dialog.getByText('They only see messages sent after they join.')).toBeVisible();
  await anna.expectFlawless('the choice of history');
  await dialog.getByRole('button', { name: 'Create channel' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'board-papers' })).toBeVisible();
  await anna.write('Before Ben came');
  await anna.sees('Before Ben came');

  const id = new URL(page.url()).pathname.split('/').at(-1);
  await annaApi.call('POST', `/r1/conversations/${id}/members`, { user_id: benApi.id });
  await anna.write('Welcome, Ben');
  await ben.page.goto(`/c/${id}`);
  await ben.sees('Welcome, Ben');
  await expect(ben.log.getByText('Before Ben came')).toHaveCount(0);
  await ben.composer.pressSequentially('@al');
  await expect(ben.page.getByRole('option', { name: /^all/ })).toBeVisible();
  await ben.composer.fill('');

  // From now on only admins may use `@all`.
  await page.getByRole('main').locator('header').getByRole('button', { name: 'More actions' }).click();
  await page.getByRole('menuitem', { name: 'Channel settings' }).click();
  await expect(dialog.getByText('New members only see messages sent after they join.')).toBeVisible();
  await dialog.getByLabel('Who can mention everyone').selectOption('Only admins');
  await anna.expectFlawless('who may notify everyone');
  await dialog.getByRole('button', { name: 'Save', exact: true }).click();
  await expect(page.getByText('Saved.', { exact: true })).toBeVisible();
  await page.keyboard.press('Escape');
  await expect.poll(async () => (await benApi.call('GET', `/r1/conversations/${id}`)).mention_all).toBe('admins');
  await ben.composer.pressSequentially('@al');
  await expect(ben.page.getByRole('option', { name: /^all/ })).toHaveCount(0);
  await ben.composer.fill('@all is only a word here');
  await ben.composer.press('Enter');
  await anna.sees('@all is only a word here');
  await expect(anna.page.getByText('Mentions you')).toHaveCount(0);
  await anna.composer.pressSequentially('@al');
  await expect(page.getByRole('option', { name: /^all/ })).toBeVisible();
});
