import { createRawSnippet } from 'svelte';
import { expect, it, vi } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { UNBROKEN } from '#lib/testing/data.ts';
import { expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render, text } from '#lib/testing/render.svelte.ts';
import AuthForm from './auth-form.svelte';

const field = createRawSnippet(() => ({ render: () => '<input aria-label="Code" />' }));

it('is a form that is named by its title, and so is the page', async () => {
  const onsubmit = vi.fn();
  render(AuthForm, { title: 'Sign in', onsubmit, lead: text('Welcome back'), children: field });
  await expect.element(page.getByRole('form', { name: 'Sign in' })).toMatchTextContent('Welcome back');
  await expect.element(page.getByRole('heading', { level: 1 })).toMatchTextContent('Sign in');
  expect(document.title).toBe('Sign in · Natter');
  await page.getByRole('textbox').click();
  await userEvent.keyboard('{Enter}');
  expect(onsubmit).toHaveBeenCalledExactlyOnceWith(elementOf(page.getByRole('form')));
});

it('is no form if there is nothing to send', async () => {
  render(AuthForm, { title: 'Check your mail' });
  await expect.element(page.getByRole('region', { name: 'Check your mail' })).toBeVisible();
  await expect.element(page.getByRole('form')).not.toBeInTheDocument();
});

it('announces a notice, or a failure instead of it', async () => {
  const { update } = render(AuthForm, { title: 'Sign in', notice: 'You are signed out.' });
  await expect.element(page.getByRole('status')).toMatchTextContent('You are signed out.');
  update({ failure: 'Wrong password.' });
  await expect.element(page.getByRole('alert')).toMatchTextContent('Wrong password.');
  await expect.element(page.getByRole('status')).not.toBeInTheDocument();
});

it('focuses its heading if it has replaced other content', async () => {
  render(AuthForm, { title: 'Enter the code', announce: true });
  await expect.element(page.getByRole('heading')).toHaveFocus();
});

it('has no heading of its own in a dialog', async () => {
  render(AuthForm, { title: 'Sign in', bare: true, onsubmit: () => undefined, children: field });
  await expect.element(page.getByRole('textbox')).toBeVisible();
  await expect.element(page.getByRole('heading')).not.toBeInTheDocument();
});

it('wraps long texts', () => {
  const { stage } = render(AuthForm, { title: UNBROKEN, lead: text(UNBROKEN), failure: UNBROKEN }, { width: 300 });
  expectNoOverflow(stage);
});

it.each(['ltr', 'rtl'] as const)('has the icon of a failure before its text (%s)', (dir) => {
  const { stage } = render(AuthForm, { title: 'Sign in', failure: 'Wrong password.' }, { dir });
  const parts = ['.note > svg', '.note > p'].map((part) => stage.querySelector(part) as Element);
  if (dir === 'ltr') expectLeftToRight(...parts);
  else expectRightToLeft(...parts);
});
