import { beforeEach, expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { page as appPage } from '#lib/testing/app-state.svelte.ts';
import { Refusal, createTestApp, pending, unreachable } from '#lib/testing/app.ts';
import { UNBROKEN } from '#lib/testing/data.ts';
import { expectNoOverflow } from '#lib/testing/layout.ts';
import { render } from '#lib/testing/render.svelte.ts';
import ServiceAccounts from './service-accounts.svelte';

const ACCOUNT = {
  id: 'account-1',
  name: 'Nightly report',
  description: 'Sums up the day',
  enabled: true,
  contact: { id: 'anna', display_name: 'Anna', email: 'anna@example.org' },
  budget: { limit: 5_000_000, period: 'month', spent: 1_000_000, held: 0, resets_at: null },
  keys: 2,
  last_used_at: null,
  created_at: '2026-11-30T12:00:00Z'
};

const KEY = {
  id: 'key-1',
  name: 'Cron job',
  prefix: 'nk_abcdefgh',
  scopes: ['gateway'],
  expires_at: null,
  last_used_at: null,
  created_at: '2026-11-30T12:00:00Z',
  workspace_id: null,
  models: [],
  endpoints: [],
  passthrough: null,
  rpm: null,
  tpm: null,
  parallel: null,
  budget: null,
  end_users: 'body',
  end_user_budget: null,
  end_user_budgets: {},
  model_budgets: {},
  tag_budgets: {},
  previous_until: null
};

const LIST = 'GET /admin/service_accounts';
const ONE = '/admin/service_accounts/account-1';

const pageOfItems = (...items: object[]) => ({ items, page: 1, page_size: 50, total: items.length });

function open(answers: Record<string, object | (() => unknown)>, { search = '', width = 900 } = {}) {
  appPage.url = new URL(`/admin/service-accounts${search}`, location.href);
  const testApp = createTestApp(answers as never);
  const { stage } = render(ServiceAccounts, {}, { width, in: testApp });
  return { stage, testApp };
}

const openOne = (answers: Record<string, object | (() => unknown)>, width = 900) =>
  open(
    { [LIST]: pageOfItems(ACCOUNT), [`GET ${ONE}`]: ACCOUNT, [`GET ${ONE}/api_keys`]: pageOfItems(KEY), ...answers },
    { search: '?id=account-1', width }
  );

beforeEach(() => {
  appPage.url = new URL('/admin/service-accounts', location.href);
});

it('lists service accounts with their state', async () => {
  open({ [LIST]: pageOfItems(ACCOUNT, { ...ACCOUNT, id: 'account-2', name: 'Old bot', enabled: false }) });
  const row = page.getByRole('row', { name: /Nightly report/ });
  await expect.element(row).toMatchTextContent(/Anna.*Enabled/);
  await expect.element(page.getByRole('row', { name: /Old bot/ })).toMatchTextContent(/Disabled/);
});

it('explains an empty list', async () => {
  open({ [LIST]: pageOfItems() });
  await expect.element(page.getByText(/No service accounts yet/)).toBeVisible();
});

it('shows a list that can’t be loaded', async () => {
  open({ [LIST]: unreachable });
  await expect.element(page.getByText('Couldn’t load the service accounts')).toBeVisible();
});

it('creates a service account', async () => {
  const created = { ...ACCOUNT, id: 'account-3', name: 'New bot' };
  const { testApp } = open({
    [LIST]: pageOfItems(),
    'POST /admin/service_accounts': created,
    'GET /users': pageOfItems()
  });
  await userEvent.click(page.getByRole('button', { name: 'New service account' }));
  await userEvent.click(page.getByRole('button', { name: 'Create service account' }));
  await expect.element(page.getByText('Enter a name.')).toBeVisible();
  await userEvent.fill(page.getByRole('textbox', { name: 'Name' }), ' New bot ');
  await userEvent.fill(page.getByRole('textbox', { name: 'Budget for all keys, in credits' }), '5');
  await userEvent.click(page.getByRole('button', { name: 'Create service account' }));
  await expect
    .poll(() => testApp.server.bodiesOf('POST /admin/service_accounts').at(0))
    .toEqual({ name: 'New bot', description: '', contact_id: null, budget: { limit: 5_000_000, period: 'month' } });
});

it('shows a service account and its keys', async () => {
  openOne({});
  await expect.element(page.getByRole('heading', { name: 'Nightly report' })).toBeVisible();
  await expect.element(page.getByText('Cron job')).toBeVisible();
  await expect
    .element(page.getByRole('link', { name: 'Usage' }))
    .toHaveAttribute('href', '/admin/usage?user=account-1');
});

it('shows the secret of a new key once', async () => {
  const { testApp } = openOne({
    [`POST ${ONE}/api_keys`]: { ...KEY, id: 'key-2', name: 'Second', key: 'nk_secret' },
    'GET /models': pageOfItems()
  });
  await userEvent.click(page.getByRole('button', { name: 'New API key' }));
  await expect.element(page.getByRole('group', { name: 'Permissions' })).not.toBeInTheDocument();
  await userEvent.fill(page.getByRole('textbox', { name: 'Name' }), 'Second');
  await userEvent.click(page.getByRole('button', { name: 'Create key' }));
  await expect.element(page.getByText('nk_secret')).toBeVisible();
  const [body] = testApp.server.bodiesOf(`POST ${ONE}/api_keys`);
  expect(body).toMatchObject({ name: 'Second' });
  expect(body).not.toHaveProperty('scopes');
  await userEvent.click(page.getByRole('button', { name: 'Close' }));
  await expect.element(page.getByText('nk_secret')).not.toBeInTheDocument();
});

it('warns of a disabled service account and enables it', async () => {
  let account = { ...ACCOUNT, enabled: false };
  openOne({
    [`GET ${ONE}`]: () => account,
    [`PATCH ${ONE}`]: () => (account = ACCOUNT)
  });
  await expect.element(page.getByText(/All of its API keys are refused/)).toBeVisible();
  await userEvent.click(page.getByRole('button', { name: 'Enable' }));
  await expect.element(page.getByRole('button', { name: 'Disable' })).toBeVisible();
});

it('shows that a service account is missing', async () => {
  openOne({ [`GET ${ONE}`]: () => new Refusal(404, 'not_found', 'There is none.') });
  await expect.element(page.getByText('Couldn’t load the service account')).toBeVisible();
});

it('announces that a service account is loading', async () => {
  openOne({ [`GET ${ONE}`]: pending });
  await expect.element(page.getByRole('status', { name: 'Loading' })).toBeVisible();
});

it('fits long names on a phone', async () => {
  const long = { ...ACCOUNT, name: UNBROKEN, description: UNBROKEN };
  const { stage } = openOne({ [`GET ${ONE}`]: long }, 360);
  await expect.element(page.getByRole('heading', { name: UNBROKEN })).toBeVisible();
  expectNoOverflow(stage);
});
