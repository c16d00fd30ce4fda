// Use by keyboard: visible focus, focus traps and restored focus.

import { choose, press, tabThrough, tabTo } from './keys.mjs';
import { apiOf, DESKTOP, expect, PASSWORD, signInAsAdmin, test, Visitor } from './people.mjs';

/** Checks that the Tab key stays inside the dialog. */
async function expectTrap(page, dialog) {
  await expect(dialog).toBeVisible();
  const isInside = () => dialog.evaluate((element) => element.contains(document.activeElement));
  await expect.poll(isInside).toBe(true);
  for (let step = 0; step < 15; step += 1) {
    await page.keyboard.press(step < 10 ? 'Tab' : 'Shift+Tab');
    expect(await isInside()).toBe(true);
  }
}

/** Opens a dialog by its button and closes it, and checks that the button has the focus again. */
async function openAndLeave(page, button, dialog) {
  await press(page, button);
  await expectTrap(page, dialog);
  await page.keyboard.press('Escape');
  await expect(dialog).toHaveCount(0);
  await expect(button).toBeFocused();
}

test('signs in and opens workspace settings by keyboard', async ({ browser, register, server }) => {
  const someone = await register('Anna');
  const api = await apiOf(server, someone);
  await api.call('POST', '/r1/workspaces', { name: 'Harbour' });

  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const anna = new Visitor(await context.newPage(), 'Anna');
  const { page } = anna;
  const region = (name) => page.getByRole('region', { name, exact: true });
  await page.goto('/sign-in');
  await tabTo(page, page.getByLabel('Email'));
  await page.keyboard.type(someone.email);
  await tabTo(page, page.getByLabel('Password', { exact: true }));
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');

  const self = page.getByRole('button', { name: new RegExp(`^You: ${someone.name}`) });
  await expect(self).toBeVisible();
  await press(page, self);
  await expect(page.getByRole('menu')).toBeVisible();
  // The second key is pressed before the menu has the focus.
  await self.dispatchEvent('keydown', { key: 'ArrowDown' });
  await expect(page.getByRole('menu')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(self).toBeFocused();
  await page.keyboard.press('Enter');
  await choose(page, 'Settings');
  await expect(page.getByRole('heading', { name: 'Profile' })).toBeVisible();

  const devices = region('Devices');
  await expect(devices.getByRole('listitem')).toHaveCount(3);
  await openAndLeave(page, devices.getByRole('button', { name: 'Sign out all others' }), page.getByRole('alertdialog'));
  await page.keyboard.press('Enter');
  await page.getByRole('alertdialog').waitFor();
  await press(page, page.getByRole('alertdialog').getByRole('button', { name: 'Sign out all others' }));
  await expect(devices.getByRole('listitem')).toHaveCount(1);

  const keys = region('API keys');
  const add = keys.getByRole('button', { name: 'New API key' });
  const dialog = page.getByRole('dialog');
  await openAndLeave(page, add, dialog);
  await page.keyboard.press('Enter');
  await tabTo(page, dialog.getByLabel('Name'));
  await page.keyboard.type('nightly');
  await page.keyboard.press('Enter');
  await expect(keys.getByText('nightly is ready')).toBeVisible();
  await expect(add).toBeFocused();
  const actions = keys.getByRole('button', { name: 'Actions for nightly' });
  await press(page, actions);
  await choose(page, 'Revoke');
  await page.getByRole('alertdialog').waitFor();
  await press(page, page.getByRole('alertdialog').getByRole('button', { name: 'Revoke' }));
  await expect(actions).toHaveCount(0);
  // The row that had the focus was removed, and the focus stays nearby.
  await expect.poll(() => page.evaluate(() => document.activeElement === document.body)).toBe(false);

  await press(page, page.getByRole('link', { name: 'Chats' }).first());
  const where = page.getByRole('button', { name: /^Workspace:/ });
  await press(page, where);
  await expect(page.getByRole('menu')).toBeVisible();
  await choose(page, 'Harbour');
  await expect(page.getByRole('button', { name: 'Workspace: Harbour' })).toBeFocused();
  await page.keyboard.press('Enter');
  await choose(page, 'Workspace settings');
  await expect(page.getByRole('heading', { level: 1, name: 'Harbour' })).toBeVisible();
  await tabTo(page, page.getByLabel('Workspace name'));
  await page.keyboard.press('End');
  await page.keyboard.type(' of all');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1, name: 'Harbour of all' })).toBeVisible();
  await openAndLeave(page, region('Invitations').getByRole('button', { name: 'Invite', exact: true }), dialog);
  await openAndLeave(page, region('Leave or delete').getByRole('button', { name: 'Delete…' }), dialog);
  expect(anna.problems).toEqual([]);
  await context.close();
});

test('walks through sign-in by keyboard', async ({ browser, register, server }) => {
  const someone = await register('Anna');
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const anna = new Visitor(await context.newPage(), 'Anna');
  const { page } = anna;
  const email = page.getByLabel('Email');
  const password = page.getByLabel('Password', { exact: true });
  const show = page.getByRole('button', { name: 'Show password' });
  const submit = page.getByRole('button', { name: 'Sign in', exact: true });
  const signUp = page.getByRole('link', { name: 'Create an account' });
  const forgot = page.getByRole('link', { name: 'Forgot password?' });

  await page.goto('/sign-in');
  await tabTo(page, email);
  await tabThrough(page, [forgot, password, show, submit, signUp]);
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/\/sign-up/);
  await tabTo(page, page.getByLabel('Display name'));
  await tabTo(page, page.getByRole('link', { name: 'Sign in' }));
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/\/sign-in/);

  // Enter submits the form from each field, and leads to the field that is wrong.
  await tabTo(page, email);
  await page.keyboard.type(someone.email);
  await page.keyboard.press('Enter');
  await expect(page.getByText('Enter your password.')).toBeVisible();
  await expect(password).toBeFocused();
  await page.keyboard.type('Wrong-Horse-9-Battery');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('alert')).toContainText('Wrong email or password.');
  await tabTo(page, show);
  await page.keyboard.press('Space');
  await expect(page.getByRole('button', { name: 'Hide password' })).toBeFocused();
  await page.keyboard.press('Shift+Tab');
  await expect(password).toBeFocused();
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('button', { name: 'New conversation' }).first()).toBeVisible();
  expect(anna.problems).toEqual([]);
  await context.close();
});

test('walks through a conversation by keyboard', async ({ arrive, server }) => {
  const [anna, ben, carl] = [await arrive('Anna'), await arrive('Ben'), await arrive('Carl')];
  const [api, bens, carls] = [await apiOf(server, anna), await apiOf(server, ben), await apiOf(server, carl)];
  const chat = await api.openGroup('Quay', bens, carls);
  await bens.send(chat, 'Who brings the ropes?');
  const { page, composer, log } = anna;
  const articleOf = (text) => log.getByRole('article').filter({ hasText: text });
  await page.goto(`/c/${chat}`);
  await anna.sees('Who brings the ropes?');

  // The first stop of the page skips the navigation.
  await expect(composer).toBeFocused();
  await tabTo(page, page.getByRole('link', { name: 'Skip to content' }));
  await page.keyboard.press('Enter');
  await expect(page.getByRole('main')).toBeFocused();

  // Header: the details open beside the conversation, and Escape closes them.
  const details = page.getByRole('main').getByRole('button', { name: /details/ });
  const panel = page.getByRole('complementary', { name: 'Details' });
  await press(page, details);
  await expect(panel).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(panel).toHaveCount(0);
  await expect(details).toBeFocused();
  const more = page.getByRole('main').locator('header').getByRole('button', { name: 'More actions' });
  await tabThrough(page, [more]);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('menu')).toBeVisible();
  const items = page.getByRole('menuitem');
  await expect(items.nth(1)).toBeVisible();
  for (const item of [items.nth(0), items.nth(1)]) {
    await page.keyboard.press('ArrowDown');
    await expect(item).toBeFocused();
  }
  await page.keyboard.press('Escape');
  await expect(more).toBeFocused();

  // Composer: Enter sends, the up key edits the last message, Escape cancels that.
  await tabTo(page, composer);
  await page.keyboard.type('I do.');
  await page.keyboard.press('Enter');
  await anna.sees('I do.');
  // A message can be edited once it has reached the server.
  await anna.sees(/^(Sent|Delivered)/);
  await expect(composer).toBeFocused();
  await page.keyboard.press('ArrowUp');
  await expect(composer).toHaveValue('I do.');
  await page.keyboard.press('Escape');
  await expect(composer).toHaveValue('');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('End');
  await page.keyboard.type(' Both.');
  await page.keyboard.press('Enter');
  await anna.sees('I do. Both.');
  await expect(composer).toBeFocused();

  // Messages: arrow keys move between them, and Escape leads back to the composer.
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('End');
  await expect(articleOf('I do. Both.')).toBeFocused();
  await page.keyboard.press('ArrowUp');
  const question = articleOf('Who brings the ropes?');
  await expect(question).toBeFocused();
  const tools = question.getByRole('toolbar', { name: 'Message actions' });
  await page.keyboard.press('Tab');
  await expect(tools.getByRole('button').first()).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(question).toBeFocused();
  await page.keyboard.press('r');
  await expect(composer).toBeFocused();
  await expect(page.getByText(`Replying to ${ben.name}`)).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByText(`Replying to ${ben.name}`)).toHaveCount(0);
  await expect(composer).toBeFocused();
  expect(anna.problems).toEqual([]);
});

test('walks through the command palette by keyboard', async ({ register, server }) => {
  const anna = await register('Anna');
  const api = await apiOf(server, anna);
  const open = async (title) => (await api.call('POST', '/r1/conversations', { kind: 'private_channel', title })).id;
  const [first, second] = [await open('Windlass'), await open('Capstan')];
  const { page, composer } = anna;
  await page.goto(`/c/${first}`);
  await expect(composer).toBeFocused();

  await page.keyboard.press('ControlOrMeta+k');
  const palette = page.getByRole('dialog', { name: 'Command palette' });
  const input = palette.getByRole('combobox', { name: 'Search, jump to or run a command' });
  const selected = palette.getByRole('option', { selected: true });
  await expect(input).toBeFocused();
  const before = await selected.getAttribute('id');
  await page.keyboard.press('ArrowDown');
  await expect(input).not.toHaveAttribute('aria-activedescendant', before);
  await expect(selected).toHaveCount(1);
  await page.keyboard.press('ArrowUp');
  await expect(input).toHaveAttribute('aria-activedescendant', before);
  await expect(input).toBeFocused();
  await expectTrap(page, palette);
  await page.keyboard.press('Escape');
  await expect(palette).toHaveCount(0);
  await expect(composer).toBeFocused();

  await page.keyboard.press('ControlOrMeta+k');
  await expect(input).toBeFocused();
  await page.keyboard.type('Capst');
  await expect(selected).toContainText('Capstan');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(new RegExp(`/c/${second}$`));
  await expect(composer).toBeFocused();

  await page.keyboard.press('ControlOrMeta+k');
  await expect(input).toBeFocused();
  await page.keyboard.type('Settings');
  for (let step = 0; step < 10 && (await selected.innerText()).split('\n')[0] !== 'Settings'; step += 1)
    await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/\/settings$/);
  await expect(palette).toHaveCount(0);
  expect(anna.problems).toEqual([]);
});

test('walks through the settings by keyboard', async ({ register }) => {
  const anna = await register('Anna');
  const { page } = anna;
  const links = page.getByRole('navigation', { name: 'Settings' });
  const region = (name) => page.getByRole('region', { name, exact: true });
  await page.goto('/settings');
  await expect(region('API keys').getByText(/No API keys yet/)).toBeAttached();

  // A link leads to its section, where Tab continues.
  await tabTo(page, links.getByRole('link', { name: 'API keys' }));
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'API keys' })).toBeInViewport();
  await tabThrough(page, [region('API keys').getByRole('button', { name: 'New API key' })]);
  await tabTo(page, links.getByRole('link', { name: 'Profile' }));
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'Profile' })).toBeInViewport();

  const name = page.getByLabel('Display name');
  await tabTo(page, name);
  await page.keyboard.press('End');
  await page.keyboard.type(' of all');
  await page.keyboard.press('Enter');
  await expect(page.getByText('Saved.')).toBeVisible();
  await expect(name).toBeFocused();

  // A group of choices is one stop, within which the arrow keys choose.
  const appearance = region('Appearance');
  const theme = (label) => appearance.getByRole('radio', { name: label, exact: true });
  await expect(theme('System')).toBeChecked();
  await tabTo(page, theme('System'));
  await page.keyboard.press('ArrowUp');
  await expect(theme('Dark')).toBeFocused();
  await expect(theme('Dark')).toBeChecked();
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  await page.keyboard.press('ArrowUp');
  await expect(theme('Light')).toBeChecked();
  await page.keyboard.press('Tab');
  await expect(appearance.getByRole('radiogroup', { name: 'Density' }).getByRole('radio').first()).toBeFocused();
  const motion = appearance.getByRole('switch', { name: 'Reduce motion' });
  await tabTo(page, motion);
  await page.keyboard.press('Space');
  await expect(motion).toBeChecked();
  await page.keyboard.press('Space');
  await expect(motion).not.toBeChecked();
  await expect(motion).toBeFocused();
  expect(anna.problems).toEqual([]);
});

test('walks through the console by keyboard', async ({ browser, register, server }) => {
  const someone = await register('Anna');
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  const links = page.getByRole('navigation', { name: 'Admin' });
  await page.goto('/admin');
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  await tabTo(page, links.getByRole('link', { name: 'Overview' }));
  await tabThrough(page, [links.getByRole('link', { name: 'Users' })]);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1, name: 'Users' })).toBeVisible();

  const search = page.getByRole('searchbox', { name: 'Name, email or ID' });
  const rows = page.getByRole('table', { name: 'Users' }).getByRole('row');
  await tabTo(page, search);
  await page.keyboard.type(someone.email);
  await page.keyboard.press('Enter');
  await expect(rows).toHaveCount(2);
  const row = rows.filter({ hasText: someone.name });
  await openAndLeave(page, row.getByRole('button', { name: someone.name }), page.getByRole('dialog'));

  // Selecting an account shows what can be done with it.
  const pick = row.getByRole('checkbox', { name: `Select ${someone.name}` });
  await page.keyboard.press('Shift+Tab');
  await expect(pick).toBeFocused();
  await page.keyboard.press('Space');
  await expect(pick).toBeChecked();
  await openAndLeave(page, page.getByRole('button', { name: 'Suspend…' }), page.getByRole('dialog'));

  const state = page.getByRole('combobox', { name: 'Filter by state' });
  await tabTo(page, state);
  for (const status of ['active', 'suspended']) {
    await page.keyboard.press('ArrowDown');
    await expect(state).toHaveValue(status);
    await expect(page).toHaveURL(new RegExp(`status=${status}`));
  }
  await expect(state).toBeFocused();
  expect(admin.problems).toEqual([]);
  await context.close();
});
