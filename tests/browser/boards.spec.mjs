// Board of a conversation: creation, tasks from messages, moves by mouse, keyboard and touch, live updates, and the user's own tasks.

import { apiOf, DESKTOP, expect, PHONE, shoot, test } from './people.mjs';

const column = (page, name) => page.getByRole('region', { name, exact: true });
const cards = (page, name) =>
  column(page, name)
    .getByRole('listitem')
    .filter({ has: page.locator('[id^="task-"]') });

test('edits a board concurrently by mouse and keyboard', { tag: '@gate' }, async ({ arrive, server }) => {
  const anna = await arrive('Anna', { viewport: { ...DESKTOP, width: 1440 } });
  const ben = await arrive('Ben', { viewport: { ...DESKTOP, width: 1440 } });
  await anna.openChatWith(ben);
  await anna.write('Somebody should write the upgrade notes');
  await ben.openConversation(anna.name);
  const { page } = anna;
  const chat = new URL(page.url()).pathname.split('/').pop();

  // The board is empty.
  await ben.page.goto(`/tasks/${chat}`);
  await expect(ben.page.getByRole('heading', { name: 'No board yet' })).toBeVisible();
  await ben.expectFlawless('no board');
  await shoot(ben.page, 'board-empty-1440');

  // A message becomes a task.
  await anna.log.getByText('upgrade notes').hover();
  await anna.log
    .getByRole('article')
    .filter({ hasText: 'upgrade notes' })
    .getByRole('button', { name: 'More actions' })
    .click();
  await page.getByRole('menuitem', { name: 'Create task' }).click();
  const dialog = page.getByRole('dialog', { name: 'New task' });
  await expect(dialog.getByLabel('Task title')).toHaveValue('Somebody should write the upgrade notes');
  await dialog.getByLabel('Task title').fill('Upgrade notes');
  await dialog.getByRole('button', { name: `Assign to ${ben.name}` }).click();
  await dialog.getByLabel('Labels').fill('Docs, 2.4');
  await dialog.getByLabel('Due').fill('2020-01-02T09:00');
  await anna.expectFlawless('a task from a message');
  await shoot(page, 'task-dialog-1440');
  await dialog.getByRole('button', { name: 'Add a task' }).click();
  await expect(page.getByText('Task added.')).toBeVisible();
  await expect(anna.log.getByRole('link', { name: 'Task: Upgrade notes' })).toBeVisible();
  await anna.expectFlawless('a message that became a task');
  // Ben sees the task without a reload.
  await expect(cards(ben.page, 'To do')).toHaveCount(1);
  await expect(cards(ben.page, 'To do').first()).toContainText('Overdue');

  await page.goto(`/tasks/${chat}`);
  const waiting = column(page, 'To do');
  await waiting.getByRole('button', { name: 'Add a task' }).click();
  for (const title of ['First', 'Second']) {
    await waiting.getByRole('textbox', { name: 'Task title' }).fill(title);
    await page.keyboard.press('Enter');
    await expect(cards(page, 'To do').filter({ hasText: title })).toBeVisible();
  }
  await page.keyboard.press('Escape');
  await expect(cards(ben.page, 'To do')).toHaveCount(3);
  await anna.expectFlawless('a board');
  await shoot(page, 'board-1440');

  // A task is dragged into another column by mouse.
  await cards(page, 'To do').filter({ hasText: 'First' }).dragTo(column(page, 'Doing').getByRole('list'));
  await expect(cards(page, 'Doing')).toHaveText(/First/);
  await expect(cards(ben.page, 'Doing')).toHaveText(/First/);

  // A task is moved by keyboard: picked up, moved, dropped and cancelled.
  const second = page.getByRole('link', { name: 'Second' });
  await second.focus();
  await page.keyboard.press('Space');
  await expect(page.getByText(/Second picked up/)).toBeAttached();
  await page.keyboard.press('ArrowUp');
  await expect(page.getByText('To do, 1 of 2')).toBeAttached();
  await page.keyboard.press('Escape');
  await expect(cards(page, 'To do').last()).toContainText('Second');
  await expect(second).toBeFocused();
  await page.keyboard.press('Space');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await expect(column(page, 'Done').getByRole('link', { name: 'Second' })).toBeFocused();
  await page.keyboard.press('Space');
  await expect(cards(ben.page, 'Done')).toHaveText(/Second/);

  // The tasks are filtered, and two people change one at the same time.
  await ben.page.getByRole('button', { name: /^Mine/ }).click();
  await expect(cards(ben.page, 'To do')).toHaveCount(1);
  await expect(cards(ben.page, 'Doing')).toHaveCount(0);
  await ben.page.getByRole('link', { name: 'Upgrade notes' }).click();
  const bens = ben.page.getByRole('dialog', { name: 'Task' });
  await expect(bens.getByRole('link', { name: 'Show the message' })).toBeVisible();
  await page.getByRole('link', { name: 'Upgrade notes' }).click();
  await page.getByRole('dialog').getByLabel('Description').fill('Also what changes for *operators*.');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('dialog')).toHaveCount(0);
  // They change different fields, so the changes are merged.
  await bens.getByLabel('Task title').fill('Upgrade notes, all of them');
  await bens.getByRole('button', { name: 'Save' }).click();
  await expect(bens).toHaveCount(0);
  for (const person of [page, ben.page]) await person.getByRole('link', { name: 'Upgrade notes, all of them' }).click();
  await expect(bens.getByText('operators', { exact: true })).toHaveCSS('font-style', 'italic');
  await anna.expectFlawless('a task with a description');
  // They change the same field, so the user is asked.
  const annas = page.getByRole('dialog', { name: 'Task' });
  for (const [dialog, text] of [
    [annas, 'What Anna wrote'],
    [bens, 'What Ben wrote']
  ]) {
    await dialog.getByRole('button', { name: 'Edit' }).click();
    await dialog.getByLabel('Description').fill(text);
    await dialog.getByRole('button', { name: 'Save' }).click();
    if (dialog === annas) await expect(annas).toHaveCount(0);
  }
  await expect(bens.getByText('Someone else changed this first')).toBeVisible();
  await expect(bens.getByText('What Anna wrote')).toBeVisible();
  await ben.expectFlawless('a task that both have changed');
  await shoot(ben.page, 'task-clash-1440');
  await bens.getByRole('button', { name: 'Take theirs' }).click();
  await expect(bens.getByLabel('Description')).toHaveValue('What Anna wrote');
  await bens.getByRole('button', { name: 'Save' }).click();
  await expect(bens).toHaveCount(0);

  // After a reload and a disconnect the state is the same.
  await ben.page.context().setOffline(true);
  await cards(page, 'To do').first().dragTo(column(page, 'Done').getByRole('list'));
  await expect(cards(page, 'Done')).toHaveCount(2);
  await ben.page.context().setOffline(false);
  await ben.page.getByRole('button', { name: 'All' }).click();
  await expect(cards(ben.page, 'Done')).toHaveCount(2);

  // Columns are created and changed.
  await page.getByRole('button', { name: 'New column' }).click();
  await page.getByRole('dialog').getByLabel('Column name').fill('Review');
  await page.getByRole('dialog').getByRole('button', { name: 'Add' }).click();
  await page.getByRole('button', { name: 'Column Review' }).click();
  await page.getByRole('menuitem', { name: 'Move left' }).click();
  await expect(ben.page.getByRole('region').nth(2)).toHaveAccessibleName('Review');
  await page.getByRole('button', { name: 'Column Review' }).click();
  await page.getByRole('menuitem', { name: 'Delete column' }).click();
  await expect(column(ben.page, 'Review')).toHaveCount(0);

  // A task is archived and restored.
  await page.getByRole('button', { name: 'Column Done' }).click();
  await page.getByRole('menuitem', { name: 'Archive all tasks here' }).click();
  await expect(page.getByText('2 tasks archived.')).toBeVisible();
  await expect(cards(ben.page, 'Done')).toHaveCount(0);
  await page.getByRole('button', { name: 'Archived tasks' }).click();
  const archive = page.getByRole('dialog', { name: 'Archived tasks' });
  await expect(archive.getByRole('listitem')).toHaveCount(2);
  await anna.expectFlawless('archived tasks');
  await shoot(page, 'board-archive-1440');
  await archive.getByRole('button', { name: 'Restore “Second”' }).click();
  await expect(archive.getByRole('listitem')).toHaveCount(1);
  await expect(cards(ben.page, 'Done')).toHaveText(/Second/);
  await page.keyboard.press('Escape');

  // The board is open beside the conversation, and the messages show the state of their tasks.
  await page.goto(`/c/${chat}`);
  await page.getByRole('main').getByRole('button', { name: 'Board', exact: true }).click();
  await expect(page.getByRole('complementary', { name: 'Board' }).getByRole('tab')).toHaveCount(3);
  await anna.expectFlawless('a board beside its conversation');
  await shoot(page, 'board-panel-1440');

  // The board can't be loaded.
  await page.route(/\/board$/, (route) => route.abort());
  await page.goto(`/tasks/${chat}`);
  await expect(page.getByRole('heading', { name: 'Couldn’t load the board' })).toBeVisible();
  await shoot(page, 'board-failed-1440');

  // The user's own tasks in all boards.
  const api = await apiOf(server, anna);
  const board = await api.call('GET', `/r1/conversations/${chat}/board`);
  const id = (await apiOf(server, ben)).id ?? (await (await apiOf(server, ben)).call('GET', '/r1/users/me')).id;
  const due = new Date(Date.now() + 24 * 3_600_000).toISOString();
  await ben.page.goto('/tasks');
  await expect(ben.page.getByText('No tasks yet')).toBeVisible();
  await ben.expectFlawless('no tasks of one’s own');
  await shoot(ben.page, 'tasks-empty-1440');
  await api.call('POST', `/r1/conversations/${chat}/tasks`, {
    title: 'Ask for a quote',
    column_id: board.columns[1].id,
    assignee_ids: [id],
    due_at: due
  });
  await expect(ben.page.getByRole('link', { name: /Ask for a quote/ })).toContainText('Tomorrow');
  await ben.expectFlawless('tasks of one’s own');
  await shoot(ben.page, 'tasks-1440');
  // The filters are in the URL.
  await ben.page.getByRole('combobox', { name: 'Due' }).selectOption('Overdue');
  await expect(ben.page).toHaveURL(/\/tasks\?due=late$/);
  await expect(ben.page.getByText('No tasks match these filters')).toBeVisible();
  await ben.page.getByRole('button', { name: 'Clear filters' }).click();
  await expect(ben.page).toHaveURL(/\/tasks$/);
  await ben.page.getByRole('link', { name: /Ask for a quote/ }).click();
  await expect(ben.page.getByRole('dialog', { name: 'Task' }).getByLabel('Task title')).toHaveValue('Ask for a quote');
});

test('moves tasks by long press on phones', async ({ arrive, register, server }) => {
  const anna = await arrive('Anna', PHONE);
  const ben = await register('Ben', PHONE);
  await anna.openChatWith(ben);
  const { page } = anna;
  const chat = new URL(page.url()).pathname.split('/').pop();
  const api = await apiOf(server, anna);
  const columns = [];
  for (const name of ['Waiting', 'Doing', 'Done'])
    columns.push(await api.call('POST', `/r1/conversations/${chat}/board/columns`, { name, done: name === 'Done' }));
  for (const title of ['Press list for Asia', 'Screens for the store page', 'Ask Nordlicht for a quote'])
    await api.call('POST', `/r1/conversations/${chat}/tasks`, { title, column_id: columns[0].id, labels: ['Launch'] });
  await page.goto('/');
  await page.getByRole('link', { name: 'Tasks' }).click();
  await page.getByRole('button', { name: 'Open a board' }).click();
  await page.getByRole('menuitem', { name: ben.name }).click();
  await expect(cards(page, 'Waiting')).toHaveCount(3);
  await anna.expectFlawless('a board on a phone');
  await shoot(page, 'board-390');

  const card = page.getByRole('link', { name: 'Press list for Asia' });
  const box = await card.boundingBox();
  const touch = { identifier: 1, clientX: box.x + 20, clientY: box.y + 8 };
  await card.dispatchEvent('touchstart', { touches: [touch], changedTouches: [touch], targetTouches: [touch] });
  const sheet = page.getByRole('dialog', { name: 'Move' });
  await expect(sheet).toBeVisible();
  await card.dispatchEvent('touchend', { touches: [], changedTouches: [touch], targetTouches: [] });
  await anna.expectFlawless('where to, on a phone');
  await shoot(page, 'board-move-390');
  await sheet.getByRole('button', { name: /^Doing/ }).click();
  await expect(page.getByText('Moved to Doing.')).toBeVisible();
  await expect(cards(page, 'Waiting')).toHaveCount(2);
  await page.getByRole('tab', { name: /Doing/ }).click();
  await expect(cards(page, 'Doing')).toHaveText(/Press list/);
  await page.getByRole('button', { name: 'New task' }).last().click();
  await page.getByRole('dialog').getByLabel('Task title').fill('From the train');
  await anna.expectFlawless('a new task on a phone');
  await shoot(page, 'task-dialog-390');
  await page.getByRole('dialog').getByRole('button', { name: 'Add a task' }).click();
  await expect(cards(page, 'Doing')).toHaveCount(2);
});

test('virtualises a board of a thousand tasks', async ({ arrive, register, server }) => {
  const anna = await arrive('Anna', { viewport: { ...DESKTOP, width: 1440 } });
  const ben = await register('Ben');
  await anna.openChatWith(ben);
  const { page } = anna;
  const chat = new URL(page.url()).pathname.split('/').pop();
  const api = await apiOf(server, anna);
  const columns = [];
  for (const name of ['Waiting', 'Doing'])
    columns.push(await api.call('POST', `/r1/conversations/${chat}/board/columns`, { name }));
  const COUNT = 1_000;
  const created_at = '2026-11-26T09:00:00.000Z';
  const same = {
    conversation_id: chat,
    column_id: columns[0].id,
    description: '',
    version: 1,
    labels: ['Launch'],
    assignee_ids: [],
    assignees: []
  };
  const taskOf = (at) => ({
    ...same,
    id: `00000000-0000-7000-8000-${String(at).padStart(12, '0')}`,
    title: `Step ${at}`,
    position: `V${String(at).padStart(4, '0')}`,
    due_at: null,
    message_id: null,
    archived_at: null,
    created_by: api.id,
    created_at,
    updated_at: created_at
  });
  await page.route(/\/r1\/conversations\/[^/]+\/tasks\?/, (route) => {
    const query = new URL(route.request().url()).searchParams;
    const [number, page_size] = [Number(query.get('page')), Number(query.get('page_size'))];
    const items = Array.from({ length: page_size }, (_, at) => (number - 1) * page_size + at + 1).filter(
      (at) => at <= COUNT
    );
    return route.fulfill({
      json: { success: true, data: { items: items.map(taskOf), page: number, page_size, total: COUNT } }
    });
  });
  await page.goto(`/tasks/${chat}`);
  const waiting = column(page, 'Waiting');
  await expect(waiting.getByText('1,000', { exact: true })).toBeVisible();
  await expect(page.getByRole('link', { name: 'Step 1', exact: true })).toBeVisible();
  expect(await cards(page, 'Waiting').count()).toBeLessThanOrEqual(100);
  await anna.expectFlawless('a board of a thousand tasks');
  await shoot(page, 'board-thousand-1440');
  // A task is moved by keyboard beyond the cards that are rendered.
  const fifty = page.getByRole('link', { name: 'Step 50', exact: true });
  await fifty.focus();
  await page.keyboard.press('Space');
  for (let step = 0; step < 3; step += 1) await page.keyboard.press('ArrowDown');
  await expect(page.getByText('Waiting, 53 of 1000')).toBeAttached();
  await expect(fifty).toBeFocused();
  await page.keyboard.press('Escape');
  // The task is moved to the last card.
  await expect
    .poll(
      async () => {
        await waiting.getByRole('list').evaluate((element) => (element.scrollTop = element.scrollHeight));
        return page.getByRole('link', { name: 'Step 1000', exact: true }).count();
      },
      { intervals: [20], timeout: 30_000 }
    )
    .toBe(1);
});
