// Frame of the app: groups, workspaces, palette, settings and devices.

import { apiOf, expect, PHONE, shoot, test, Visitor } from './people.mjs';

test('creates, renames, hands over and leaves a group live', { tag: '@gate' }, async ({ arrive }) => {
  const anna = await arrive('Anna');
  const ben = await arrive('Ben');
  const cleo = await arrive('Cleo', PHONE);

  await anna.page.getByRole('button', { name: 'New conversation' }).first().click();
  const dialog = anna.page.getByRole('dialog');
  await dialog.getByRole('tab', { name: 'Group' }).click();
  await dialog.getByLabel('Group name').fill('Night crew');
  await expect(dialog.getByRole('button', { name: 'Create group' })).toBeDisabled();
  for (const { name } of [ben, cleo]) {
    await dialog.getByRole('searchbox').fill(name);
    await dialog.getByRole('button', { name, pressed: false }).click();
  }
  await dialog.getByRole('button', { name: 'Create group' }).click();
  await expect(anna.page.getByRole('heading', { name: 'Night crew' })).toBeVisible();
  await anna.write('who is awake?');
  await expect(cleo.page.getByRole('link', { name: 'Night crew' })).toBeVisible();
  await expect(ben.page.getByText('1 unread').first()).toBeAttached();

  await anna.page.getByRole('button', { name: 'Members and details' }).click();
  await anna.page.getByRole('button', { name: 'Rename' }).click();
  await anna.page.getByLabel('Name', { exact: true }).fill('Early birds');
  await anna.page.getByRole('button', { name: 'Save', exact: true }).click();
  await expect(ben.page.getByRole('link', { name: 'Early birds' })).toBeVisible();
  await anna.expectFlawless('the details of a group');

  await anna.page.getByRole('button', { name: `Actions for ${ben.name}` }).click();
  await anna.page.getByRole('menuitem', { name: 'Make owner' }).click();
  await anna.page.getByRole('alertdialog').getByRole('button', { name: 'Make owner' }).click();
  await anna.page.getByRole('main').locator('header').getByRole('button', { name: 'More actions' }).click();
  await anna.page.getByRole('menuitem', { name: 'Leave conversation' }).click();
  const leaving = anna.page.getByRole('alertdialog', { name: 'Leave “Early birds”?' });
  await leaving.getByRole('button', { name: 'Leave conversation' }).click();
  await expect(anna.page.getByRole('link', { name: 'Early birds' })).toHaveCount(0);

  await ben.openConversation('Early birds');
  await ben.page.getByRole('button', { name: 'Members and details' }).click();
  await ben.page.getByRole('button', { name: `Actions for ${cleo.name}` }).click();
  await ben.page.getByRole('menuitem', { name: 'Remove' }).click();
  await ben.page.getByRole('alertdialog').getByRole('button', { name: 'Remove' }).click();
  await expect(cleo.page.getByRole('link', { name: 'Early birds' })).toHaveCount(0);
});

test('creates a private workspace and adds people by email', async ({ arrive, register }) => {
  const anna = await arrive('Anna');
  const ben = await arrive('Ben');
  const cleo = await register('Cleo');

  await anna.page.getByRole('button', { name: /^Workspace:/ }).click();
  await anna.page.getByRole('menuitem', { name: 'New workspace' }).click();
  await anna.page.getByLabel('Workspace name').fill('Laboratory');
  await anna.page.getByRole('button', { name: 'Create workspace' }).click();
  const add = anna.page.getByRole('region', { name: 'People' }).getByRole('button', { name: 'Add', exact: true });
  await anna.page.getByLabel('Add by email').fill('nobody@example.test');
  await add.click();
  await expect(anna.page.getByText('No account found.')).toBeVisible();
  await anna.page.getByLabel('Add by email').fill(ben.email);
  await add.click();
  await expect(anna.page.getByRole('list', { name: 'Members' }).getByText(ben.name)).toBeVisible();
  await anna.expectFlawless('the people of a workspace');
  await anna.page.getByRole('link', { name: 'Chats' }).click();

  await anna.page.getByRole('button', { name: 'New conversation' }).first().click();
  const people = anna.page.getByRole('dialog').getByRole('list', { name: 'People' });
  await expect(people.getByRole('button', { name: ben.name })).toBeVisible();
  await expect(people.getByRole('button', { name: cleo.name })).toHaveCount(0);
  await people.getByRole('button', { name: ben.name }).click();
  await anna.write('only in here');

  await expect(ben.page.getByRole('link', { name: anna.name })).toHaveCount(0);
  await ben.page.getByRole('button', { name: /^Laboratory/ }).click();
  await ben.openConversation(anna.name);
  await ben.sees('only in here');
});

test('reaches all pages by keyboard', async ({ arrive, register }) => {
  const anna = await arrive('Anna');
  const ben = await register('Ben');
  await anna.openChatWith(ben);
  await anna.write('hello');
  await anna.openAssistant();

  await anna.page.keyboard.press('Control+k');
  const input = anna.page.getByRole('combobox', { name: 'Search, jump to or run a command' });
  await input.fill(ben.name);
  await expect(anna.page.getByRole('option', { name: ben.name }).first()).toHaveAttribute('aria-selected', 'true');
  await anna.expectFlawless('the palette');
  await input.press('Enter');
  await expect(anna.page.getByRole('heading', { name: ben.name })).toBeVisible();

  await anna.page.keyboard.press('Alt+ArrowDown');
  await anna.page.keyboard.press('Alt+ArrowUp');
  await expect(anna.page.getByRole('main').getByRole('heading', { level: 1 })).toBeVisible();

  await anna.page.keyboard.press('Control+k');
  await input.fill('settings');
  await input.press('Enter');
  await expect(anna.page.getByRole('heading', { name: 'Profile' })).toBeVisible();
  await anna.page.keyboard.press('?');
  await expect(anna.page.getByRole('dialog', { name: 'Keyboard shortcuts' })).toBeVisible();
  await anna.expectFlawless('the shortcuts');
  await anna.page.keyboard.press('Escape');
  await expect(anna.page.getByRole('dialog')).toHaveCount(0);
});

test('stores settings and signs out another device', { tag: '@gate' }, async ({ browser, register, server }) => {
  const anna = await register('Anna');
  await anna.page.goto('/settings');
  await anna.page.getByLabel('Display name').fill(`${anna.name} Voss`);
  await anna.page.locator('#profile').getByRole('button', { name: 'Save', exact: true }).click();
  await expect(anna.page.getByText('Saved.')).toBeVisible();
  await anna.page.getByRole('radio', { name: 'Dark' }).click();
  await anna.page.getByRole('radio', { name: 'Compact' }).click();
  await anna.page.reload();
  await expect(anna.page.locator('html')).toHaveAttribute('data-theme', 'dark');
  await expect(anna.page.getByRole('radio', { name: 'Compact' })).toBeChecked();
  await expect(anna.page.getByLabel('Display name')).toHaveValue(`${anna.name} Voss`);

  await anna.page.getByLabel('Current password').fill('not it');
  await anna.page.getByLabel('New password').fill('Correct-Horse-10-Battery');
  await anna.page.getByRole('button', { name: 'Change password' }).click();
  await expect(anna.page.getByText('That’s not your current password.')).toBeVisible();

  const context = await browser.newContext({ baseURL: server.url });
  const elsewhere = new Visitor(await context.newPage(), 'Elsewhere');
  elsewhere.email = anna.email;
  await elsewhere.page.goto('/sign-in');
  await elsewhere.signIn();
  await anna.page.reload();
  await anna.page.getByRole('button', { name: /^Sign out Chrome/ }).click();
  await expect(elsewhere.page.getByText('You were signed out')).toBeVisible();
  await context.close();

  await anna.page.getByLabel('Language', { exact: true }).selectOption({ label: 'Tiếng Việt' });
  await expect(anna.page.getByRole('heading', { name: 'Hồ sơ' })).toBeVisible();
  await anna.expectFlawless('the settings in Vietnamese');
});

test('shares the session among tabs', async ({ arrive }) => {
  const anna = await arrive('Anna');
  const second = await anna.page.context().newPage();
  await second.goto('/settings');
  await expect(second.getByRole('heading', { name: 'Profile' })).toBeVisible();
  // Only the access token is missing, so both tabs refresh the session, and the refresh token can be used only once.
  await anna.page.context().clearCookies({ name: 'natter_access' });
  await Promise.all([anna.page.reload(), second.reload()]);
  await expect(anna.page.getByRole('button', { name: 'New conversation' }).first()).toBeVisible();
  await expect(second.getByRole('heading', { name: 'Profile' })).toBeVisible();
  await second.getByRole('button', { name: 'Sign out' }).click();
  await expect(second.getByRole('button', { name: 'Sign in' })).toBeVisible();
  await expect(anna.page.getByRole('button', { name: 'Sign in' })).toBeVisible();
});

test('shows errors at their fields and keeps the input', async ({ page, register, server }) => {
  const anna = await register('Anna');
  await page.goto(`${server.url}/sign-up`);
  await page.getByRole('button', { name: 'Create account' }).click();
  await expect(page.getByLabel('Display name')).toBeFocused();
  await expect(page.getByLabel('Display name')).toHaveAttribute('aria-invalid', 'true');
  await page.getByLabel('Display name').fill('Somebody');
  await page.getByLabel('Email').fill(anna.email);
  await page.getByLabel('Password', { exact: true }).fill('short');
  await page.getByRole('button', { name: 'Create account' }).click();
  await expect(page.getByText('Use at least 8 characters.')).toBeVisible();
  await page.getByLabel('Password', { exact: true }).fill('Correct-Horse-9-Battery');
  await page.getByRole('button', { name: 'Create account' }).click();
  await expect(page.getByText('An account with this email already exists.')).toBeVisible();
  await expect(page.getByLabel('Email')).toHaveValue(anna.email);
  await page.getByRole('link', { name: 'Sign in' }).click();
  await expect(page.getByRole('heading', { name: 'Welcome back' })).toBeVisible();
  await expect(page.getByLabel('Email')).toHaveValue(anna.email);
  await page.getByLabel('Password', { exact: true }).fill('Wrong-Horse-9-Battery');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('alert')).toContainText('Wrong email or password');
  await expect(page.getByLabel('Email')).toHaveValue(anna.email);
});

test('shows a 404 page without reloading', async ({ arrive, browser, server }) => {
  const anna = await arrive('Anna');
  const stranger = await (await browser.newContext({ baseURL: server.url, ...PHONE })).newPage();
  for (const page of [anna.page, stranger]) {
    for (const address of ['/nothing', '/c', '/settings/nothing', '/admin/nothing', '/sign-in/nothing']) {
      let loads = 0;
      const count = (request) => (loads += Number(request.isNavigationRequest()));
      page.on('request', count);
      await page.goto(address);
      await expect(page.getByRole('heading', { name: 'Page not found' })).toBeVisible();
      await expect(page).toHaveTitle(/Page not found/);
      expect(new URL(page.url()).pathname).toBe(address);
      expect(loads, address).toBe(1);
      page.off('request', count);
    }
  }
  await anna.expectFlawless('an address without a page');
  await anna.page.getByRole('link', { name: 'Back to chats' }).click();
  await expect(anna.page).toHaveURL(`${server.url}/`);
  await stranger.getByRole('link', { name: 'Back to chats' }).click();
  await expect(stranger).toHaveURL(/sign-in$/);
  await stranger.context().close();
});

test('requests each resource once at page load', async ({ arrive }) => {
  const anna = await arrive('Anna');
  const ben = await arrive('Ben');
  await anna.openChatWith(ben);
  await anna.write('hello');
  await anna.sees(/^(Sent|Delivered)$/);
  const asked = [];
  const pending = new Set();
  anna.page.on('request', (request) => {
    const { pathname, search } = new URL(request.url());
    if (!pathname.startsWith('/r1/') || request.resourceType() !== 'fetch') return;
    pending.add(request);
    // Pictures that appear later are requested then, and none is requested twice.
    asked.push(
      ...(pathname === '/r1/users/pictures' ? new URLSearchParams(search).get('user_id').split(',') : [pathname])
    );
  });
  anna.page.on('requestfinished', (request) => pending.delete(request));
  anna.page.on('requestfailed', (request) => pending.delete(request));
  const presence = anna.page.waitForResponse((response) => new URL(response.url()).pathname === '/r1/users');
  await anna.page.reload();
  await anna.sees('hello');
  await presence;
  await expect.poll(() => pending.size).toBe(0);
  expect(asked.filter((path, at) => asked.indexOf(path) !== at)).toEqual([]);
});

test('completes and dismisses the first steps', async ({ arrive }) => {
  const anna = await arrive('Anna');
  const { page } = anna;
  const steps = page.getByRole('region', { name: /^Welcome/ });
  const asking = steps.getByRole('listitem').filter({ hasText: 'Chat with the assistant' });
  await expect(asking).not.toContainText('Done');
  await anna.openAssistant();
  await anna.write('Hello');
  await anna.sees('Hello there.');
  await page.getByRole('link', { name: 'Chats' }).click();
  await expect(asking).toContainText('Done');
  await expect(asking.getByRole('link')).toHaveCount(0);
  await expect(steps.getByRole('listitem').filter({ hasText: 'Join a channel' })).not.toContainText('Done');
  await anna.expectFlawless('the first steps');
  await steps.getByRole('button', { name: 'Hide these steps' }).click();
  await expect(page.getByRole('heading', { name: 'No conversation open' })).toBeVisible();
  // The app starts with the last conversation.
  await page.reload();
  await anna.sees('Hello there.');
  await page.getByRole('link', { name: 'Chats' }).click();
  await expect(page.getByRole('heading', { name: 'No conversation open' })).toBeVisible();
  await expect(steps).toHaveCount(0);
});

test('sends browsers that are too old to a page without scripts', async ({ browser, server }) => {
  const context = await browser.newContext({ baseURL: server.url, ...PHONE });
  await context.addInitScript(() => delete Map.groupBy);
  const page = await context.newPage();
  const failures = [];
  page.on('console', (message) => message.type() === 'error' && failures.push(message.text()));
  await page.goto('/c/somewhere');
  await expect(page.getByRole('heading', { name: 'Your browser is too old for Natter' })).toBeVisible();
  await expect(page.getByText('Dein Browser ist zu alt für Natter.')).toBeVisible();
  // The policy of the page allows its styles.
  await expect(page.locator('h1')).toHaveCSS('font-size', '22px');
  expect(failures.filter((text) => /Content Security Policy/.test(text))).toEqual([]);
  await shoot(page, 'old-browser-390');
  await context.close();
});

for (const [what, script] of Object.entries({
  'is blocked': () => {
    const refuse = () => {
      throw new DOMException('Access is denied.', 'SecurityError');
    };
    for (const name of ['localStorage', 'sessionStorage', 'indexedDB'])
      Object.defineProperty(window, name, { get: refuse });
  },
  'is full': () => {
    Storage.prototype.setItem = () => {
      throw new DOMException('The quota has been exceeded.', 'QuotaExceededError');
    };
  }
}))
  test(`sends messages if the storage of the browser ${what}`, async ({ browser, register, server }) => {
    const ben = await register('Ben');
    const context = await browser.newContext({ baseURL: server.url });
    await context.addInitScript(script);
    const anna = new Visitor(await context.newPage(), 'Anna');
    await anna.register(server);
    await anna.open();
    await anna.openChatWith(ben);
    await anna.write('without a storage');
    await anna.sees('without a storage');
    const id = anna.page.url().split('/').at(-1);
    const api = await apiOf(server, ben);
    await expect
      .poll(async () => (await api.call('GET', `/r1/conversations/${id}/messages`)).items.map(({ content }) => content))
      .toContain('without a storage');
    await anna.expectFlawless('a conversation without storage');
    await context.close();
  });
