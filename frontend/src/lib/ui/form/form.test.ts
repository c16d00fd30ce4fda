import { expect, it } from 'vitest';
import { ApiError } from '#lib/api/client.ts';
import { Form } from './form.svelte.ts';

const element = { querySelector: () => null } as unknown as HTMLFormElement;
globalThis.requestAnimationFrame ??= ((run: () => void) => setTimeout(run)) as unknown as typeof requestAnimationFrame;

async function refused(error: ApiError) {
  const form = new Form({ email: 'ben@example.com' }, { email: () => undefined });
  expect(await form.submit(element, () => Promise.reject(error))).toBe(false);
  return form.errors.email;
}

it('shows the code of an error at the field that it is about', async () => {
  expect(await refused(new ApiError(409, 'email_taken', 'Taken.', 'r'))).toMatch(/^An account with this email/);
});

it('prefers the text of the field to that of the code', async () => {
  const fields = [{ field: 'email', code: 'email_taken', message: 'Another account uses this email' }];
  expect(await refused(new ApiError(409, 'email_taken', 'Taken.', 'r', fields))).toBe(
    'Another account uses this email'
  );
});
