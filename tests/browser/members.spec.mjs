// Group with more members than the response about the conversation contains.

import { Person } from '../clients/server.mjs';
import { apiOf, expect, PHONE, test } from './people.mjs';

const CROWD = 57;

/** Creates a group of sixty people. The two visitors have joined last, and one of them is an admin. */
async function makeGroup(server, admin, other) {
  const crowd = [];
  for (let at = 1; at <= CROWD; at += 1)
    crowd.push(await Person.signUp(server.url, `Crowd ${String(at).padStart(2, '0')}`));
  const [owner, ...rest] = crowd;
  const last = await Person.signUp(server.url, 'Zoe Zeta');
  const unheard = crowd[40];
  const id = await owner.openGroup('Everybody', ...rest, last, other, admin);
  await owner.call('PATCH', `/r1/conversations/${id}/members/${admin.id}`, { role: 'admin' });
  return { id, owner, unheard };
}

test('manages a group of sixty people', async ({ arrive, register, server }) => {
  test.setTimeout(240_000);
  const anna = await register('Anna');
  const ben = await arrive('Ben');
  const [annaApi, benApi] = [await apiOf(server, anna), await apiOf(server, ben)];
  const { id, owner, unheard } = await makeGroup(server, annaApi, benApi);
  const { page } = anna;

  await page.goto(`/c/${id}`);
  await page.getByRole('button', { name: 'Members and details, 60 people' }).click();
  const panel = page.getByRole('complementary', { name: 'Details' });
  await expect(panel.getByRole('heading', { name: '60 people' })).toBeVisible();
  await expect(panel.getByRole('button', { name: 'Add people' })).toBeVisible();

  // Only visible rows are rendered, with their position in the whole list.
  const rows = panel.getByRole('list', { name: 'Members' }).getByRole('listitem');
  await expect(rows.first()).toHaveAttribute('aria-setsize', '60');
  expect(await rows.count()).toBeLessThan(45);
  await expect(panel.getByText('50 of 60, more as you scroll')).toBeAttached();
  await anna.expectFlawless('the members of a large group');

  // The members are grouped by role, with the number of each, although not all are loaded.
  for (const heading of ['Owners · 1', 'Admins · 1', 'Members · 58']) {
    await expect(panel.getByRole('heading', { name: heading })).toBeVisible();
  }
  const filter = panel.getByRole('group', { name: 'Filter members by role' });
  await filter.getByRole('button', { name: 'Admins' }).click();
  await expect(rows).toHaveCount(1);
  await expect(rows).toContainText(anna.name);
  await expect(panel.getByRole('heading', { name: 'Owners' })).toHaveCount(0);
  await filter.getByRole('button', { name: 'Everyone' }).click();
  await expect(rows.first()).toHaveAttribute('aria-setsize', '60');

  // The list is used by keyboard from the search field on, and its pages are loaded.
  const search = panel.getByRole('searchbox', { name: 'Search members' });
  await search.press('ArrowDown');
  await expect(panel.getByRole('button', { name: /^Actions for/ }).first()).toBeFocused();
  await page.keyboard.press('End');
  await expect(panel.getByText('more as you scroll')).toHaveCount(0);
  await page.keyboard.press('End');
  await expect(panel.getByRole('button', { name: 'Actions for Zoe Zeta' })).toBeFocused();

  // The server searches the members.
  await search.fill('zoe');
  await expect(rows).toHaveCount(1);
  await search.fill('nobody at all');
  await expect(panel.getByText('No results for “nobody at all”.')).toBeVisible();
  await panel.getByRole('button', { name: 'Show everyone' }).click();
  await expect(rows.first()).toHaveAttribute('aria-setsize', '60');
  await search.fill('zoe');
  await panel.getByRole('button', { name: 'Actions for Zoe Zeta' }).press('Enter');
  await page.getByRole('menuitem', { name: 'Remove' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Remove' }).click();
  await expect(panel.getByRole('heading', { name: '59 people' })).toBeVisible();
  await panel.getByRole('button', { name: 'Close' }).click();

  // Members who have joined late are suggested, can be mentioned, and are shown as readers.
  await anna.composer.pressSequentially(`@${ben.name.slice(0, 5)}`);
  await page.getByRole('option', { name: ben.name }).click();
  await expect(anna.composer).toHaveValue(`@${ben.name} `);
  await anna.composer.pressSequentially('are you here?');
  await anna.composer.press('Enter');
  await expect(ben.page.getByText('Mentions you')).toBeAttached();
  await ben.page.goto(`/c/${id}`);
  await ben.sees('are you here?');
  await expect(page.getByText(`Read by ${ben.name}`)).toBeAttached();
  await ben.composer.pressSequentially('yes');
  await expect(page.getByText(`${ben.name} is typing`)).toBeVisible();

  // A mention of a member whose name isn't loaded is highlighted.
  const text = `@${unheard.name} knows`;
  await owner.call('POST', `/r1/conversations/${id}/messages`, {
    client_id: crypto.randomUUID(),
    content: text,
    mentions: [{ kind: 'user', id: unheard.id }]
  });
  await expect(anna.log.locator('.at').getByText(`@${unheard.name}`, { exact: true })).toBeVisible();

  // A message to many people must be confirmed, or is changed to notify only those online.
  await anna.composer.pressSequentially('@');
  await page.getByRole('option', { name: /^all/ }).click();
  await anna.composer.pressSequentially('lunch is here');
  await anna.composer.press('Enter');
  const message = anna.log.getByRole('article').filter({ hasText: 'lunch is here' });
  await expect(message.getByRole('status')).toContainText('@all notifies 58 people.');
  await expect(ben.log.getByText('lunch is here')).toHaveCount(0);
  await anna.expectFlawless('a message that notifies many');
  await message.getByRole('button', { name: 'Send anyway' }).click();
  await ben.sees('lunch is here');
  await anna.write('@all the bus is here');
  const other = anna.log.getByRole('article').filter({ hasText: 'the bus is here' });
  await other.getByRole('button', { name: 'Use @here' }).click();
  await ben.sees('@here the bus is here');

  // A direct message is started from the list.
  await page.getByRole('button', { name: 'Members and details' }).click();
  await search.fill(ben.name);
  await expect(rows).toHaveCount(1);
  await panel.getByRole('button', { name: `Actions for ${ben.name}` }).click();
  await page.getByRole('menuitem', { name: 'Send a message' }).click();
  await expect(page.getByRole('heading', { name: ben.name, exact: true })).toBeVisible();

  await page.setViewportSize(PHONE.viewport);
  await page.goto(`/c/${id}`);
  await page.getByRole('button', { name: 'Members and details' }).click();
  await expect(page.getByRole('list', { name: 'Members' }).getByRole('listitem').first()).toBeVisible();
  await anna.expectFlawless('the members of a large group on a phone');
});
