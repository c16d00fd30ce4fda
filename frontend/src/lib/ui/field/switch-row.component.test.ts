import { expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { UNBROKEN } from '#lib/testing/data.ts';
import { expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import SwitchRow from './switch-row.svelte';

it('is switched by pointer and keyboard', async () => {
  render(SwitchRow, { label: 'Sounds', about: 'For new messages', checked: false });
  const control = page.getByRole('switch', { name: 'Sounds' });
  await expect.element(control).toHaveAccessibleDescription('For new messages');
  await expect.element(control).not.toBeChecked();
  await control.click();
  await expect.element(control).toBeChecked();
  await userEvent.keyboard(' ');
  await expect.element(control).not.toBeChecked();
});

it('stays as it is while it is disabled', async () => {
  render(SwitchRow, { label: 'Sounds', checked: true, disabled: true });
  const control = page.getByRole('switch', { name: 'Sounds' });
  await expect.element(control).toBeDisabled();
  await control.click({ force: true });
  await expect.element(control).toBeChecked();
});

it('wraps long texts beside the switch', () => {
  const { stage } = render(SwitchRow, { label: UNBROKEN, about: UNBROKEN, checked: true }, { width: 280 });
  expectNoOverflow(stage);
  expect(elementOf(page.getByRole('switch')).getBoundingClientRect().width).toBe(36);
});

it('has the switch behind the label', () => {
  const order = (dir: 'ltr' | 'rtl') => {
    render(SwitchRow, { label: dir, checked: true }, { dir });
    return [elementOf(page.getByText(dir)), elementOf(page.getByRole('switch', { name: dir }))];
  };
  expectLeftToRight(...order('ltr'));
  expectRightToLeft(...order('rtl'));
});
