import { expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { Form } from '#lib/ui/form/form.svelte.ts';
import { expectNoOverflow } from '#lib/testing/layout.ts';
import { UNBROKEN } from '#lib/testing/data.ts';
import { render } from '#lib/testing/render.svelte.ts';
import type { ApiKey } from '#lib/features/auth/api.ts';
import { budgetRows, problems, valuesOf } from '../key-form.ts';
import BudgetRows from './budget-rows.svelte';

const formOf = (key?: Partial<ApiKey>) => {
  const form = new Form(valuesOf(undefined), problems);
  if (key) form.values = valuesOf({ name: 'bot', scopes: ['gateway'], ...key } as ApiKey);
  return form;
};

it('adds, edits and removes budgets', async () => {
  const form = formOf();
  render(BudgetRows, { form, name: 'tag_budgets', legend: 'Budgets for tags', label: 'Tag' });
  await userEvent.click(page.getByRole('button', { name: 'Add a budget' }));
  await userEvent.fill(page.getByRole('textbox', { name: 'Tag' }), 'billing');
  await userEvent.fill(page.getByRole('textbox', { name: 'Credits' }), '5');
  expect(budgetRows(form.values.tag_budgets)).toEqual([{ name: 'billing', amount: '5', period: 'month' }]);
  await userEvent.click(page.getByRole('button', { name: 'Remove the budget for billing' }));
  expect(form.values.tag_budgets).toBe('[]');
});

it('offers each model once', async () => {
  const form = formOf();
  render(BudgetRows, { form, name: 'model_budgets', legend: 'Budgets', label: 'Model', options: ['small', 'large'] });
  const add = page.getByRole('button', { name: 'Add a budget' });
  await userEvent.click(add);
  await userEvent.click(add);
  expect(budgetRows(form.values.model_budgets).map(({ name }) => name)).toEqual(['small', 'large']);
  await expect.element(add).toBeDisabled();
});

it('fits long names', () => {
  const form = formOf({ tag_budgets: { [UNBROKEN]: { limit: 1_000_000, period: 'day' } } });
  const { stage } = render(
    BudgetRows,
    { form, name: 'tag_budgets', legend: 'Budgets for tags', label: 'Tag' },
    { width: 320 }
  );
  expectNoOverflow(stage);
});
