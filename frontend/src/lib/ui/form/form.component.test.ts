import { createRawSnippet, type Component } from 'svelte';
import { expect, it, vi } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { ApiError } from '#lib/api/client.ts';
import { LONG_NAME, UNBROKEN } from '#lib/testing/data.ts';
import { expectNoOverflow } from '#lib/testing/layout.ts';
import { elementOf, render, text } from '#lib/testing/render.svelte.ts';
import EmailField from './email-field.svelte';
import FormArea from './form-area.svelte';
import FormDialog from './form-dialog.svelte';
import FormElement from './form-element.svelte';
import FormField from './form-field.svelte';
import { Form } from './form.svelte.ts';
import SubmitButton from './submit-button.svelte';

const filled = (value: string) => (value.trim() === '' ? 'Enter a title.' : undefined);
const short = (value: string) => (value.length > 5 ? 'Enter at most 5 characters.' : undefined);
const formOf = (value = '') => new Form({ title: value }, { title: short });

/** Properties that both kinds of fields have. */
type TitleField = Component<{ form: Form<string>; name: string; label: string }>;

const fields = [
  ['FormField', FormField as TitleField],
  ['FormArea', FormArea as TitleField]
] as const;

it.each(fields)(
  '%s: is validated when it loses the focus, and its error disappears while typing',
  async (_, component) => {
    render(component, { form: formOf() as Form<string>, name: 'title', label: 'Title' });
    const field = page.getByLabelText('Title');
    await field.click();
    await userEvent.keyboard('Harbour');
    await expect.element(field).not.toHaveAttribute('aria-invalid');
    await userEvent.tab();
    await expect.element(field).toHaveAccessibleDescription('Enter at most 5 characters.');
    await field.click();
    await userEvent.keyboard('{End}{Backspace}');
    await expect.element(field).toHaveAttribute('aria-invalid', 'true');
    await userEvent.keyboard('{Backspace}');
    await expect.element(field).not.toHaveAttribute('aria-invalid');
  }
);

it.each(fields)('%s: can be left empty without an error', async (_, component) => {
  const form = new Form<string>({ title: '' }, { title: filled });
  render(component, { form, name: 'title', label: 'Title' });
  await page.getByLabelText('Title').click();
  await userEvent.tab();
  await expect.element(page.getByLabelText('Title')).not.toHaveAttribute('aria-invalid');
});

it('FormField: shows the error of the form if it is the only field', async () => {
  const form = formOf() as Form<string>;
  form.failure = 'Couldn’t save.';
  render(FormField, { form, name: 'title', label: 'Title', alone: true });
  const field = page.getByLabelText('Title');
  await expect.element(field).toHaveAccessibleDescription('Couldn’t save.');
  await field.fill('Port');
  await expect.element(field).not.toHaveAttribute('aria-invalid');
});

it('FormField: hides a password', async () => {
  render(FormField, { form: formOf('12345') as Form<string>, name: 'title', label: 'Password', type: 'password' });
  await expect.element(page.getByLabelText('Password', { exact: true })).toHaveAttribute('type', 'password');
  await expect.element(page.getByRole('button', { name: 'Show password' })).toBeVisible();
});

it('EmailField: is filled in by the browser, and not corrected', async () => {
  const form = new Form({ email: '' }, { email: () => undefined });
  render(EmailField<'email'>, { form });
  const field = page.getByLabelText('Email');
  await expect.element(field).toHaveAttribute('type', 'email');
  await expect.element(field).toHaveAttribute('autocomplete', 'username');
  await expect.element(field).toHaveAttribute('autocapitalize', 'off');
});

it('SubmitButton: is busy while the form is sent', async () => {
  const form = formOf() as Form<string>;
  render(SubmitButton, { form, children: text('Save') });
  const button = page.getByRole('button');
  await expect.element(button).toHaveAttribute('type', 'submit');
  await expect.element(button).toBeEnabled();
  form.busy = true;
  await expect.element(button).toHaveAttribute('aria-busy', 'true');
  await expect.element(button).toBeDisabled();
});

it('SubmitButton: counts down while a rate limit applies', async () => {
  const form = formOf() as Form<string>;
  const { update } = render(SubmitButton, { form, children: text('Save') });
  form.wait = 12;
  await expect.element(page.getByRole('button', { name: /12 s/ })).toBeDisabled();
  form.wait = 0;
  await expect.element(page.getByRole('button', { name: 'Save' })).toBeEnabled();
  update({ disabled: true });
  await expect.element(page.getByRole('button', { name: 'Save' })).toBeDisabled();
});

it('FormElement: is validated by the app, and destroys its form', async () => {
  const form = formOf() as Form<string>;
  const destroy = vi.spyOn(form, 'destroy');
  const onsubmit = vi.fn();
  const children = createRawSnippet(() => ({ render: () => '<button>Save</button>' }));
  const { stage } = render(FormElement, { form, onsubmit, children });
  await page.getByRole('button').click();
  expect(onsubmit).toHaveBeenCalledExactlyOnceWith(stage.querySelector('form'));
  expect(stage.querySelector('form')?.noValidate).toBe(true);
  expect(destroy).not.toHaveBeenCalled();
});

/** Field for the title, as a dialog would contain it. */
const titleField = createRawSnippet(() => ({ render: () => '<input name="title" aria-label="Title" />' }));

it('FormDialog: submits by its button and by Enter, and can be cancelled', async () => {
  const [onsubmit, onclose] = [vi.fn(), vi.fn()];
  const form = formOf() as Form<string>;
  render(FormDialog, { form, title: 'New note', action: 'Create', onsubmit, onclose, children: titleField });
  await expect.element(page.getByRole('dialog', { name: 'New note' })).toBeVisible();
  await expect.element(page.getByRole('textbox', { name: 'Title' })).toHaveFocus();
  await userEvent.keyboard('{Enter}');
  await page.getByRole('button', { name: 'Create' }).click();
  expect(onsubmit).toHaveBeenCalledTimes(2);
  await page.getByRole('button', { name: 'Cancel' }).click();
  expect(onclose).toHaveBeenCalledOnce();
});

it('FormDialog: announces a failure and focuses the field that is refused', async () => {
  const form = formOf() as Form<string>;
  const refused = new ApiError(422, 'invalid', 'invalid', undefined, [
    { field: 'title', code: 'too_long', message: 'Too long.' }
  ]);
  let error: ApiError = new ApiError(0, 'network', '');
  const onsubmit = (element: HTMLFormElement) => form.submit(element, () => Promise.reject(error));
  const shown = { form, title: 'New note', action: 'Create', onsubmit, onclose: () => undefined, children: titleField };
  render(FormDialog, shown);
  await page.getByRole('button', { name: 'Create' }).click();
  await expect.element(page.getByRole('alert')).toMatchTextContent('Can’t reach the server. Check your connection.');
  error = refused;
  await page.getByRole('button', { name: 'Create' }).click();
  await expect.element(page.getByRole('textbox', { name: 'Title' })).toHaveFocus();
  await expect.element(page.getByRole('alert')).not.toBeInTheDocument();
});

it('FormDialog: wraps long texts', async () => {
  const form = formOf() as Form<string>;
  form.failure = LONG_NAME;
  const shown = { form, title: UNBROKEN, description: UNBROKEN, action: 'Create', children: titleField };
  render(FormDialog, { ...shown, onsubmit: () => undefined, onclose: () => undefined });
  await expect.element(page.getByRole('alert')).toBeVisible();
  expectNoOverflow(elementOf(page.getByRole('dialog')));
});
