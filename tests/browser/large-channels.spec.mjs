// Forty channels, one of which has ten thousand members, in both sizes and themes.

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { apiOf, expect, PHONE, test } from './people.mjs';

const CHANNELS = 40;
const MEMBERS = 10_000;

/** Id in the format of the database. */
const stored = (id) => Buffer.from(id.replaceAll('-', ''), 'hex');

/** Adds members to a workspace and a channel. They are copies of the existing member with new ids and names. */
function fill(file, workspace, channel, count) {
  const database = new DatabaseSync(file, { timeout: 10_000 });
  const only = (table, column, id) => database.prepare(`SELECT * FROM ${table} WHERE ${column} = ? LIMIT 1`).get(id);
  const copy = (table, row) => {
    const names = Object.keys(row);
    database.prepare(`INSERT INTO ${table} (${names}) VALUES (${names.map(() => '?')})`).run(...Object.values(row));
  };
  [workspace, channel] = [stored(workspace), stored(channel)];
  const member = only('conversation_members', 'conversation_id', channel);
  const user = only('users', 'id', member.user_id);
  const place = database
    .prepare('SELECT * FROM workspace_members WHERE workspace_id = ? AND user_id = ?')
    .get(workspace, member.user_id);
  database.exec('BEGIN IMMEDIATE');
  for (let at = 1; at <= count; at += 1) {
    const [id, name] = [randomUUID(), `Crowd ${String(at).padStart(5, '0')}`];
    const user_id = stored(id);
    copy('users', {
      ...user,
      id: user_id,
      email: `${id}@crowd.test`,
      display_name: name,
      search_name: name.toLowerCase()
    });
    copy('workspace_members', { ...place, user_id, role: 'member' });
    copy('conversation_members', { ...member, user_id, role: 'member', search_name: name.toLowerCase() });
  }
  database
    .prepare('UPDATE conversation_counts SET members = members + ? WHERE conversation_id = ?')
    .run(count, channel);
  database.exec('COMMIT');
  database.close();
}

test('handles a channel of ten thousand members', async ({ arrive, server }) => {
  test.setTimeout(240_000);
  const anna = await arrive('Anna');
  const api = await apiOf(server, anna);
  const { page } = anna;
  const workspaces = await api.call('GET', '/r1/workspaces');
  const workspace = workspaces.items.find((one) => !one.personal).id;
  const make = (title) =>
    api.call('POST', '/r1/conversations', { kind: 'public_channel', title, workspace_id: workspace });
  for (let at = 1; at < CHANNELS; at += 1) {
    const { id } = await make(`team ${String(at).padStart(2, '0')}`);
    await api.send(id, `the first word in ${at}`);
  }
  const hall = (await make('hall')).id;
  fill(join(server.folder, 'natter.db'), workspace, hall, MEMBERS - 1);
  await api.send(hall, 'Good morning, everybody');

  // All channels are listed without a request for each of them. The page is closed first, because an open one requests new channels.
  await page.goto('about:blank');
  const asked = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await page.goto(`/c/${hall}`);
  await expect(anna.log.getByText('Good morning, everybody')).toBeVisible();
  await expect(page.getByRole('link', { name: /team 39/ }).first()).toBeVisible();
  expect(asked.filter((path) => path.startsWith('/r1/conversations/') && !path.includes(hall))).toEqual([]);

  await page.getByRole('button', { name: 'Members and details, 10,000 people' }).click();
  const panel = page.getByRole('complementary', { name: 'Details' });
  await expect(panel.getByRole('heading', { name: /10,000/ })).toBeVisible();
  const rows = panel.getByRole('list', { name: 'Members' }).getByRole('listitem');
  await expect(rows.first()).toHaveAttribute('aria-setsize', String(MEMBERS));
  expect(await rows.count()).toBeLessThan(45);

  // The server searches the members, and the list is loaded page by page.
  const search = panel.getByRole('searchbox', { name: 'Search members' });
  await search.fill('crowd 09999');
  await expect(rows).toHaveCount(1);
  await expect(rows).toContainText('Crowd 09999');
  await search.fill('');
  await expect(rows.first()).toHaveAttribute('aria-setsize', String(MEMBERS));
  await search.press('ArrowDown');
  await page.keyboard.press('End');
  await expect(panel.getByText('Crowd 00040')).toBeAttached();
  expect(await rows.count()).toBeLessThan(60);
  await anna.expectFlawless('the members of a channel of ten thousand');
  await panel.getByRole('button', { name: 'Close' }).click();

  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width: 1440, height: 900 });
    await anna.expectFlawless(`a channel of ten thousand, ${colorScheme}`);
    await page.setViewportSize(PHONE.viewport);
    await anna.expectFlawless(`a channel of ten thousand on a phone, ${colorScheme}`);
  }
});
