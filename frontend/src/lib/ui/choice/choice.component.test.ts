import { expect, it, vi } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { LONG_NAME } from '#lib/testing/data.ts';
import { expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import { Chips, Select, SelectField, Ticks } from './index.ts';

const options = [
  { value: 'all', label: 'All' },
  { value: 'mine', label: 'Mine' },
  { value: 'old', label: 'Archived' }
];

it('Select: waits for its owner to take the choice over', async () => {
  const onpick = vi.fn();
  const { update } = render(Select, { value: 'all', options, onpick, 'aria-label': 'Shown' });
  const select = page.getByRole('combobox', { name: 'Shown' });
  await userEvent.selectOptions(select, 'mine');
  expect(onpick).toHaveBeenCalledExactlyOnceWith('mine');
  await expect.element(select).toHaveValue('all');
  update({ value: 'mine' });
  await expect.element(select).toHaveValue('mine');
});

it('Select: continues from the pending choice by keyboard', async () => {
  const pending: (() => void)[] = [];
  const onpick = vi.fn(() => new Promise<void>((resolve) => pending.push(resolve)));
  const { update } = render(Select, { value: 'all', options, onpick, 'aria-label': 'Shown' });
  const select = page.getByRole('combobox', { name: 'Shown' });
  elementOf(select).focus();
  await userEvent.keyboard('{ArrowDown}');
  await userEvent.keyboard('{ArrowDown}');
  expect(onpick.mock.calls).toEqual([['mine'], ['old']]);
  pending[0]?.();
  await expect.element(select).toHaveValue('old');
  update({ value: 'old' });
  pending[1]?.();
  await expect.element(select).toHaveValue('old');
});

it('Select: has grouped options behind the others', () => {
  const grouped = [{ value: 'far', label: 'Oslo', group: 'Norway' }, ...options];
  const { stage } = render(Select, { value: 'all', options: grouped, onpick: () => undefined, 'aria-label': 'Shown' });
  const names = page
    .getByRole('option')
    .elements()
    .map(({ textContent }) => textContent);
  expect(names).toEqual(['All', 'Mine', 'Archived', 'Oslo']);
  expect(stage.querySelector('optgroup[label="Norway"]')?.textContent?.trim()).toBe('Oslo');
});

it('Select: can be disabled, and is no wider than its place with a long option', async () => {
  const long = [{ value: 'all', label: LONG_NAME.repeat(3) }];
  const { stage } = render(
    Select,
    { value: 'all', options: long, onpick: () => undefined, 'aria-label': 'Shown', disabled: true, class: 'w-full' },
    { width: 280 }
  );
  await expect.element(page.getByRole('combobox')).toBeDisabled();
  expectNoOverflow(stage);
});

it('SelectField: is named by its label and described by its hint', async () => {
  render(SelectField, { label: 'Language', value: 'mine', options, hint: 'For mail' });
  const select = page.getByLabelText('Language');
  await expect.element(select).toHaveValue('mine');
  await expect.element(select).toHaveAccessibleDescription('For mail');
  await userEvent.selectOptions(select, 'old');
  await expect.element(select).toHaveValue('old');
});

it('Chips: has one pressed chip, with the number of matches', async () => {
  const onpick = vi.fn();
  const { update } = render(Chips, { label: 'Filter', options, value: 'all', count: 1234, onpick });
  await expect.element(page.getByRole('group', { name: 'Filter' })).toBeVisible();
  await expect.element(page.getByRole('button', { pressed: true })).toMatchTextContent('All 1,234');
  await page.getByRole('button', { name: 'Mine' }).click();
  expect(onpick).toHaveBeenCalledExactlyOnceWith('mine');
  update({ value: 'mine', count: undefined });
  await expect.element(page.getByRole('button', { pressed: true })).toMatchTextContent(/^Mine$/);
});

it('Chips: scroll if they don’t fit', () => {
  const many = options.map(({ value }) => ({ value, label: LONG_NAME }));
  const { stage } = render(
    Chips,
    { label: 'Filter', options: many, value: 'all', onpick: () => undefined },
    { width: 280 }
  );
  const group = elementOf(page.getByRole('group'));
  expectNoOverflow(stage);
  expect(group.scrollWidth).toBeGreaterThan(group.clientWidth);
});

it('Chips: follow the direction of the page', () => {
  const chips = (dir: 'ltr' | 'rtl') => {
    render(Chips, { label: dir, options, value: 'all', onpick: () => undefined }, { dir });
    return page.getByRole('group', { name: dir }).getByRole('button').elements();
  };
  expectLeftToRight(...chips('ltr'));
  expectRightToLeft(...chips('rtl'));
});

it('Ticks: report the ticked values in the order of the options', async () => {
  const onpick = vi.fn();
  render(Ticks, { legend: 'Events', name: 'events', options, values: ['old'], onpick });
  await expect.element(page.getByRole('group', { name: 'Events' })).toBeVisible();
  await expect.element(page.getByRole('checkbox', { name: 'Archived' })).toBeChecked();
  await page.getByRole('checkbox', { name: 'All' }).click();
  expect(onpick).toHaveBeenLastCalledWith(['all', 'old']);
  await page.getByRole('checkbox', { name: 'Archived' }).click();
  expect(onpick).toHaveBeenLastCalledWith([]);
});

it('Ticks: describe the group by its error and hint', async () => {
  const onpick = () => undefined;
  const { update } = render(Ticks, {
    legend: 'Events',
    name: 'events',
    options,
    values: [],
    hint: 'At least one',
    onpick
  });
  const group = page.getByRole('group', { name: 'Events' });
  await expect.element(group).toHaveAccessibleDescription('At least one');
  update({ error: 'Choose an event.' });
  await expect.element(group).toHaveAccessibleDescription('Choose an event. At least one');
});

it('Ticks: wrap long texts', () => {
  const long = [{ value: 'a', label: LONG_NAME, about: LONG_NAME }];
  const given = { legend: LONG_NAME, name: 'a', options: long, values: [], hint: LONG_NAME, onpick: () => undefined };
  const { stage } = render(Ticks, given, { width: 280 });
  expectNoOverflow(stage);
});
