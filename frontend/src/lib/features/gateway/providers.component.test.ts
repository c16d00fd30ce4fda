import { expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { page as appPage } from '#lib/testing/app-state.svelte.ts';
import { createTestApp } from '#lib/testing/app.ts';
import { render } from '#lib/testing/render.svelte.ts';
import Providers from './providers.svelte';

const KEY = {
  id: '0',
  state: 'ready',
  resting_until: null,
  requests: 4,
  failures: 0,
  tokens: 90,
  has_key: true,
  tail: 'f00d'
};
const PROVIDER = {
  name: 'acme',
  kind: 'openai',
  source: 'configuration',
  base_url: null,
  models: ['small'],
  requests_per_minute: null,
  is_resting: false,
  keys: [KEY],
  learned: []
};

function open(provider: object, test: object = { ok: true, latency_ms: 17, error: null }) {
  appPage.url = new URL('/admin/providers', location.href);
  return render(
    Providers,
    {},
    { width: 900, in: createTestApp({ 'GET /admin/providers': [provider], 'POST /admin/providers/acme/test': test }) }
  );
}

const row = () => page.getByRole('row').filter({ hasText: 'acme' });

it('shows a provider as failing after a failed test, with the cause', async () => {
  open(PROVIDER, { ok: false, latency_ms: null, error: 'connection refused' });
  await expect.element(row()).toMatchTextContent(/Healthy/);
  await userEvent.click(page.getByRole('button', { name: 'Test acme' }));
  await expect.element(page.getByText('The test failed: connection refused')).toBeVisible();
  await expect.element(row()).toMatchTextContent(/Failing/);
  await expect.element(row()).not.toMatchTextContent(/Healthy/);
});

it('shows a provider as healthy after a successful test', async () => {
  open(PROVIDER);
  await userEvent.click(page.getByRole('button', { name: 'Test acme' }));
  await expect.element(page.getByText('Answered in 17 ms.')).toBeVisible();
  await expect.element(row()).toMatchTextContent(/Healthy/);
});

it('shows a provider as failing while it is retried', async () => {
  open({ ...PROVIDER, is_resting: true });
  await expect.element(row()).toMatchTextContent(/Failing right now/);
  await expect.element(row()).not.toMatchTextContent(/Healthy/);
});
