import { expect, it } from 'vitest';
import { page } from 'vitest/browser';
import { page as appPage } from '#lib/testing/app-state.svelte.ts';
import { Refusal, createTestApp, pending, unreachable } from '#lib/testing/app.ts';
import { UNBROKEN } from '#lib/testing/data.ts';
import { expectNoOverflow } from '#lib/testing/layout.ts';
import { render } from '#lib/testing/render.svelte.ts';
import UsageRequest from './usage-request.svelte';

const CALL = {
  id: 'row-1',
  created_at: '2026-11-30T12:00:00Z',
  request_id: 'req-1',
  key_id: 'key-1',
  user_id: 'me',
  end_user: 'ben@example.org',
  tags: ['billing', 'eu'],
  endpoint: 'chat',
  asked_model: 'fast',
  model: 'gpt-5-mini',
  deployment: 'openai',
  input_tokens: 7,
  cached_tokens: 0,
  cache_write_tokens: 0,
  output_tokens: 3,
  reasoning_tokens: 0,
  audio_tokens: 0,
  cost: 1_000_000,
  price_version: 'v1',
  estimated: false,
  status: 200,
  first_token_ms: 120,
  duration_ms: 900,
  tries: 2,
  workspace_id: null,
  model_name: 'small',
  failed_attempts: [{ provider: 'azure', model: 'small-eu', error: 'provider_busy', duration_ms: 40 }],
  repairs: ['images=no'],
  refusal: null,
  price: null,
  batch_price_percent: null
};

const pageOfCalls = (...items: object[]) => ({ items, page: 1, page_size: 100, total: items.length });

function open(answer: object | (() => unknown), width = 480) {
  appPage.url = new URL('/usage?request=req-1', location.href);
  const key = { id: 'key-1', name: 'Support bot' };
  return render(
    UsageRequest,
    {},
    {
      width,
      in: createTestApp({
        'GET /usage/requests/req-1': answer,
        'GET /api_keys': { items: [key], page: 1, page_size: 50, total: 1 }
      })
    }
  );
}

it('shows route, attempts and repairs', async () => {
  open(pageOfCalls(CALL));
  await expect.element(page.getByText('fast → small → openai/gpt-5-mini')).toBeVisible();
  await expect.element(page.getByText('Support bot')).toBeVisible();
  await expect.element(page.getByRole('table', { name: 'Failed attempts' })).toMatchTextContent(/azure.*provider_busy/);
  await expect.element(page.getByText('images=no')).toBeVisible();
  await expect.element(page.getByText('billing, eu')).toBeVisible();
});

it('names the reason of a refusal', async () => {
  open(pageOfCalls({ ...CALL, status: 429, refusal: 'end_user_budget' }));
  await expect.element(page.getByText('The end user’s budget was used up.')).toBeVisible();
});

it('shows the price of a request that ran in a batch', async () => {
  open(pageOfCalls({ ...CALL, batch_price_percent: 50 }));
  await expect.element(page.getByText(/^50\s?% of this price/)).toBeVisible();
});

it('numbers the calls for an answer in a chat', async () => {
  open(pageOfCalls(...[1, 2].map((id) => ({ ...CALL, id: `row-${id}`, key_id: null }))));
  await expect.element(page.getByRole('heading', { name: 'Call 2 of 2' })).toBeVisible();
});

it('offers to look for another request if there is none', async () => {
  open(new Refusal(404, 'not_found', 'Not found'));
  await expect.element(page.getByText('No request with this ID')).toBeVisible();
  await expect.element(page.getByRole('textbox', { name: 'Find a request by its ID' })).toBeVisible();
});

it('shows that it is loading', async () => {
  open(pending);
  await expect.element(page.getByRole('status')).toBeVisible();
});

it('offers to try again', async () => {
  open(unreachable);
  await expect.element(page.getByText('Couldn’t load the request')).toBeVisible();
});

it('wraps long names', async () => {
  const { stage } = open(pageOfCalls({ ...CALL, end_user: UNBROKEN, asked_model: UNBROKEN }), 320);
  await expect.element(page.getByText('Support bot')).toBeVisible();
  expectNoOverflow(stage);
});
