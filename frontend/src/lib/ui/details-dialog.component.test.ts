import { createRawSnippet } from 'svelte';
import { expect, it, vi } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { ApiError } from '#lib/api/client.ts';
import { Resource } from '#lib/api/resource.svelte.ts';
import { pending } from '#lib/testing/app.ts';
import { render } from '#lib/testing/render.svelte.ts';
import DetailsDialog from './details-dialog.svelte';

const children = createRawSnippet((user: () => { email: string }) => ({ render: () => `<p>${user().email}</p>` }));
const shown = { title: 'Ben', failed: 'Couldn’t load the user', onclose: () => undefined, children };

it('says that it is loading', async () => {
  render(DetailsDialog<{ email: string }>, { ...shown, details: new Resource<{ email: string }>(pending) });
  await expect.element(page.getByRole('dialog', { name: 'Ben' })).toBeVisible();
  await expect.element(page.getByRole('status', { name: 'Loading' })).toBeVisible();
});

it('loads the details when it opens, and again after a failure', async () => {
  const request = vi.fn(() => Promise.resolve({ email: 'ben@example.com' }));
  request.mockRejectedValueOnce(new ApiError(0, 'network', ''));
  render(DetailsDialog<{ email: string }>, { ...shown, details: new Resource(request) });
  await expect.element(page.getByRole('alert')).toMatchTextContent('Couldn’t load the user');
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect.element(page.getByText('ben@example.com')).toBeVisible();
  await expect.element(page.getByRole('alert')).not.toBeInTheDocument();
});

it('is closed by Escape', async () => {
  const onclose = vi.fn();
  render(DetailsDialog<{ email: string }>, { ...shown, onclose, details: new Resource<{ email: string }>(pending) });
  await expect.element(page.getByRole('dialog')).toBeVisible();
  await userEvent.keyboard('{Escape}');
  expect(onclose).toHaveBeenCalledOnce();
});
