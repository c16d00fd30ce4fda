import type { Component } from 'svelte';
import { expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { ARABIC, LONG_NAME, UNBROKEN } from '#lib/testing/data.ts';
import { expectNoOverflow, insetsOf } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import AreaField from './area-field.svelte';
import { Field } from './index.ts';

/** Properties that both kinds of fields have. */
type TextField = Component<{
  label: string;
  value: string;
  hint?: string;
  error?: string | undefined;
  disabled?: boolean;
}>;

const kinds = [
  ['Field', Field as TextField],
  ['AreaField', AreaField as TextField]
] as const;

it.each(kinds)('%s: is named by its label, which focuses it', async (_, component) => {
  render(component, { label: 'Topic', value: 'Ships' });
  const field = page.getByLabelText('Topic');
  await expect.element(field).toHaveValue('Ships');
  await page.getByText('Topic').click();
  await expect.element(field).toHaveFocus();
  await userEvent.keyboard('{End} and tides');
  await expect.element(field).toHaveValue('Ships and tides');
});

it.each(kinds)('%s: is described by its hint', async (_, component) => {
  render(component, { label: 'Topic', value: '', hint: 'Everyone sees it.' });
  await expect.element(page.getByLabelText('Topic')).toHaveAccessibleDescription('Everyone sees it.');
  await expect.element(page.getByLabelText('Topic')).not.toHaveAttribute('aria-invalid');
});

it.each(kinds)('%s: is invalid with an error, which is read before the hint', async (_, component) => {
  const { update } = render(component, {
    label: 'Topic',
    value: '',
    hint: 'Everyone sees it.',
    error: 'Enter a topic.'
  });
  const field = page.getByLabelText('Topic');
  await expect.element(field).toHaveAttribute('aria-invalid', 'true');
  await expect.element(field).toHaveAccessibleDescription('Enter a topic. Everyone sees it.');
  update({ error: undefined });
  await expect.element(field).not.toHaveAttribute('aria-invalid');
  await expect.element(page.getByText('Enter a topic.')).not.toBeInTheDocument();
});

it.each(kinds)('%s: accepts nothing while it is disabled', async (_, component) => {
  render(component, { label: 'Topic', value: 'Ships', disabled: true });
  await expect.element(page.getByLabelText('Topic')).toBeDisabled();
});

it.each(kinds)('%s: wraps a long label, hint and error', (_, component) => {
  const { stage } = render(
    component,
    { label: UNBROKEN, value: UNBROKEN, hint: UNBROKEN, error: LONG_NAME },
    { width: 280 }
  );
  expectNoOverflow(stage);
});

it.each(kinds)('%s: has its label at the side where lines begin', (_, component) => {
  const begins = (dir: 'ltr' | 'rtl') => {
    const { stage } = render(component, { label: dir, value: '' }, { dir });
    const range = document.createRange();
    range.selectNodeContents(elementOf(page.getByText(dir)));
    const [words, box] = [range.getBoundingClientRect(), stage.getBoundingClientRect()];
    return { left: words.left - box.left, right: box.right - words.right };
  };
  expect(begins('ltr').left).toBe(0);
  expect(begins('rtl').right).toBe(0);
});

it.each(kinds)('%s: writes a text in its own direction', (_, component) => {
  render(component, { label: 'Topic', value: ARABIC });
  expect(getComputedStyle(elementOf(page.getByLabelText('Topic'))).unicodeBidi).toBe('plaintext');
});

it('Field: is as wide as its place', () => {
  const { stage } = render(Field, { label: 'Topic', value: '' }, { width: 333 });
  expect(insetsOf(elementOf(page.getByLabelText('Topic')), stage)).toEqual({ left: 0, right: 0 });
});
