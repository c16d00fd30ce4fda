// Overview of the console: metrics, incidents, instances and jobs.

import { apiOf, DESKTOP, expect, PHONE, shoot, signInAsAdmin, test } from './people.mjs';

test(
  'shows metrics, incidents and health with their filters in the URL',
  { tag: '@gate' },
  async ({ browser, register, server }) => {
    const anna = await register('Anna');
    await anna.page.goto('/');
    const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
    const admin = await signInAsAdmin(context, server);
    const { page } = admin;
    await page.goto('/admin');
    await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
    const figures = page.getByRole('list', { name: 'Figures' }).getByRole('button');
    await expect(figures).toHaveCount(10);
    await admin.expectFlawless('the overview');
    await figures.filter({ hasText: 'Requests' }).click();
    await expect(page).toHaveURL(/figure=requests/);
    await expect(page.getByRole('img', { name: /^Requests, / })).toBeVisible();
    await page.getByText('Show as a table').click();
    await expect(page.getByRole('table', { name: 'Requests' }).getByRole('row')).toHaveCount(61);
    await page.getByRole('button', { name: '30 days' }).click();
    await expect(page).toHaveURL(/range=30d/);
    await expect(page.getByRole('table', { name: 'Requests' }).getByRole('row')).toHaveCount(31);
    await page.reload();
    await expect(page.getByRole('button', { name: '30 days' })).toHaveAttribute('aria-pressed', 'true');
    await expect(page.getByRole('heading', { name: 'Requests' })).toBeVisible();

    // Health checks that have failed are expanded, with remedies.
    await page.route(/\/r1\/admin\/checks/, async (route) => {
      const answer = await route.fetch();
      const body = await answer.json();
      body.data.checks.push(
        { about: 'backups', verdict: 'warning', says: 'The last one is two days old' },
        { about: 'redis', verdict: 'fault', says: 'Redis can’t be reached. Start it again' }
      );
      await route.fulfill({ response: answer, json: body });
    });
    await page.reload();
    const health = page.getByRole('region', { name: 'Health' });
    const wrong = health.getByRole('list', { name: 'Needs attention' }).getByRole('listitem');
    await expect(wrong.filter({ hasText: 'Redis' })).toContainText('Failed');
    await expect(wrong.filter({ hasText: 'The last one is two days old' })).toContainText('Backups');
    await health.getByText(/more passed$/).click();
    await expect(
      health
        .getByRole('list', { name: 'Passed' })
        .getByRole('listitem')
        .filter({ has: page.getByText('Database', { exact: true }) })
        .first()
    ).toContainText('answers within');
    await health.getByRole('button', { name: 'Check again' }).click();
    await expect(health.getByText(/^Checked/)).toBeVisible();
    await admin.expectFlawless('the health');
    await page.setViewportSize(PHONE.viewport);
    await admin.expectFlawless('the health on a phone');
    await page.setViewportSize(DESKTOP);
    await page.unroute(/\/r1\/admin\/checks/);
    await page.route(/\/r1\/admin\/checks/, (route) => route.abort());
    await page.reload();
    await expect(page.getByRole('heading', { name: 'Couldn’t check this server' })).toBeVisible();
    await page.unroute(/\/r1\/admin\/checks/);

    // The response contains an incident in the server's format.
    await page.route(/\/r1\/admin\/figures/, async (route) => {
      const answer = await route.fetch();
      const body = await answer.json();
      const [began_at, ended_at] = [new Date(Date.now() - 600_000), new Date(Date.now() - 500_000)];
      body.data.incidents = [
        { kind: 'redis', began_at, ended_at, instances: 2, impact: 1204, people: 38 },
        { kind: 'dead_letters', began_at: ended_at, ended_at: null, instances: 1, impact: 1, people: null }
      ];
      await route.fulfill({ response: answer, json: body });
    });
    await page.reload();
    const incidents = page.getByRole('region', { name: 'Incidents' }).getByRole('listitem');
    await expect(incidents.first()).toContainText('Jobs failed');
    await expect(incidents.last()).toContainText('Redis can’t be reached');
    await expect(incidents.last()).toContainText('Reported by 2 instances');
    await expect(incidents.last()).toContainText('Lasted 2 min');
    // The incident says how many were affected.
    await expect(incidents.first()).toContainText('1 job needed attention.');
    await expect(incidents.last()).toContainText(
      '1,204 changes reached the other instances up to a second late. Up to 38 people were online.'
    );
    await shoot(page, 'incidents-1280');
    await admin.expectFlawless('incidents');
    await page.setViewportSize(PHONE.viewport);
    await admin.expectFlawless('the overview on a phone');
    await shoot(page, 'incidents-390');
    await page.unroute(/\/r1\/admin\/figures/);
    await page.route(/\/r1\/admin\/figures/, (route) => route.abort());
    await page.reload();
    await expect(page.getByRole('heading', { name: 'Couldn’t load the figures' })).toBeVisible();
    await admin.expectFlawless('figures that failed to load');

    await page.setViewportSize(DESKTOP);
    await page.getByRole('navigation', { name: 'Admin' }).getByRole('link', { name: 'Instances' }).click();
    const own = page.getByRole('row').filter({ hasText: 'This instance' });
    await expect(own).toContainText('OK');
    await admin.expectFlawless('the instances');
    await shoot(page, 'instances-1280');
    // There are several instances, and the filter is in the URL.
    await page.route(/\/r1\/admin\/instances/, async (route) => {
      const answer = await route.fetch();
      const body = await answer.json();
      const [one] = body.data;
      body.data.push({
        ...one,
        id: '019aa000-0000-7000-8000-000000000002',
        is_own: false,
        host: 'natter-far',
        version: '0.0.1',
        redis: false,
        redis_ms: null
      });
      await route.fulfill({ response: answer, json: body });
    });
    await page.reload();
    await expect(page.getByRole('row')).toHaveCount(3);
    await page.getByRole('combobox', { name: 'Filter by state' }).selectOption({ label: 'Needs attention' });
    await expect(page).toHaveURL(/status=wrong/);
    await expect(page.getByRole('row').last()).toContainText('No Redis');
    await expect(own).toHaveCount(0);
    await page.getByRole('combobox', { name: 'Filter by version' }).selectOption('0.0.1');
    await page.getByRole('searchbox', { name: 'Host or ID' }).fill('FAR');
    await expect(page).toHaveURL(/q=FAR/);
    await page.reload();
    await expect(page.getByRole('row').last()).toContainText('natter-far');
    await page.setViewportSize(PHONE.viewport);
    await admin.expectFlawless('the instances on a phone');
    await shoot(page, 'instances-390');
    await page.getByRole('searchbox', { name: 'Host or ID' }).fill('nobody');
    await expect(page.getByText('No instances match.')).toBeVisible();
    await page.unroute(/\/r1\/admin\/instances/);
    await page.route(/\/r1\/admin\/instances/, (route) => route.abort());
    await page.reload();
    await expect(page.getByRole('heading', { name: 'Couldn’t load the instances' })).toBeVisible();
    await admin.expectFlawless('instances that failed to load');
    await anna.page.goto('/admin');
    await expect(anna.page.getByRole('heading', { name: 'Overview' })).toHaveCount(0);
    await context.close();
  }
);

test('finds, requeues and deletes dead jobs', async ({ browser, server }) => {
  const api = await apiOf(server, server.admin);
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  // Jobs that send mail can't fail here, so the response is faked.
  const job = {
    id: '019aa000-0000-7000-8000-000000000001',
    kind: 'mail',
    status: 'dead',
    attempts: 5,
    error: 'connection refused',
    created_at: new Date(),
    run_at: null,
    about: { letter: 'verification', 'to.user': '019aa000-0000-7000-8000-000000000002' }
  };
  let items = [job];
  let dead = 1;
  await page.route(/\/r1\/admin\/job_kinds/, (route) =>
    route.fulfill({ json: { success: true, data: [{ kind: 'mail', dead, due: 0, running: 0 }] } })
  );
  await page.route(/\/r1\/admin\/jobs\?/, (route) => {
    const shown = new URL(route.request().url()).searchParams.get('status') === 'running' ? [] : items;
    return route.fulfill({
      json: { success: true, data: { items: shown, total: shown.length, page: 1, page_size: 50 } }
    });
  });
  const done = [];
  await page.route(/\/r1\/admin\/jobs\/.+/, (route) => {
    done.push(`${route.request().method()} ${new URL(route.request().url()).pathname}`);
    items = [];
    return route.fulfill({
      json: { success: true, data: route.request().url().endsWith('/jobs/requeue') ? { requeued: 1 } : job }
    });
  });
  await page.route(/\/r1\/admin\/jobs$/, (route) => {
    done.push(`${route.request().method()} all`);
    return route.fulfill({ json: { success: true, data: { deleted: 2 } } });
  });
  await page.goto('/admin/jobs?status=dead');
  const row = page.getByRole('row').filter({ hasText: 'Email' });
  await expect(row).toContainText('connection refused');
  await admin.expectFlawless('failed jobs');
  await row.getByRole('button', { name: 'Details of “Email”' }).click();
  await expect(page.getByRole('dialog', { name: 'Job: Email' })).toContainText('verification');
  await admin.expectFlawless('the details of a job');
  await page.keyboard.press('Escape');
  await row.getByRole('button', { name: 'Try “Email” again' }).click();
  await expect(page.getByText('No failed jobs.')).toBeVisible();
  items = [job];
  await page.getByLabel('Filter by state').selectOption({ label: 'Running' });
  await expect(page).toHaveURL(/status=running/);
  await expect(page.getByText('No jobs. Everything is done.')).toBeVisible();
  await page.getByLabel('Filter by state').selectOption({ label: 'All jobs' });
  await row.getByRole('button', { name: 'Delete “Email”' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click();
  await expect(row).toHaveCount(0);
  await page.getByRole('button', { name: 'Try all again' }).click();
  await expect(page.getByText('Jobs tried again: 1')).toBeVisible();
  await page.getByRole('button', { name: 'Delete failed jobs' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByText('Jobs deleted: 2')).toBeVisible();
  // Without failed jobs there is nothing to try again or delete.
  dead = 0;
  await page.getByLabel('Filter by kind').selectOption({ label: 'Email' });
  await expect(page.getByRole('button', { name: 'Delete failed jobs' })).toBeDisabled();
  await expect(page.getByRole('button', { name: 'Try all again' })).toBeDisabled();
  const path = `/r1/admin/jobs/${job.id}`;
  expect(done).toEqual([`POST ${path}/requeue`, `DELETE ${path}`, 'POST /r1/admin/jobs/requeue', 'DELETE all']);
  // A state that only a newer server knows is shown as it is.
  items = [{ ...job, status: 'paused' }];
  await page.goto('/admin/jobs');
  await expect(row).toContainText('paused');
  await page.setViewportSize(PHONE.viewport);
  // On phones the error is shown in the details.
  const lines = Array.from({ length: 40 }, (_, at) => `   ${at}: mail::deliver`).join('\n');
  items = [
    { ...job, error: `connection refused by the host of mails, port 587: tried its addresses one by one\n${lines}` }
  ];
  await page.goto('/admin/jobs?status=dead');
  const { width, height } = await row.getByText('connection refused').boundingBox();
  expect(width).toBeGreaterThan(150);
  expect(height).toBeLessThan(100);
  await expect(row.getByRole('button', { name: 'Try “Email” again' })).toBeHidden();
  await admin.expectFlawless('jobs on a phone');
  await row.getByRole('button', { name: 'Details of “Email”' }).click();
  await expect(page.getByRole('dialog').getByText('connection refused')).toHaveCSS('white-space-collapse', 'preserve');
  await admin.expectFlawless('the details of a job on a phone');
  await page.getByRole('dialog').getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByText('No failed jobs.')).toBeVisible();
  await expect(page.getByRole('dialog')).toBeHidden();
  expect(done.at(-1)).toBe(`POST ${path}/requeue`);
  // The response comes from the server again.
  await page.unroute(/\/r1\/admin\/jobs\?/);
  await page.goto('/admin/jobs');
  await expect(page.getByRole('heading', { level: 1, name: 'Jobs' })).toBeVisible();
  expect((await api.call('GET', '/r1/admin/jobs')).items).toBeDefined();
  await context.close();
});
