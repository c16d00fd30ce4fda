import * as z from 'zod/mini';
import { m } from '#lib/paraglide/messages.js';

const email = z.email();

/** Returns a message if the text can't be an email address. Whether it is accepted, the server decides. */
export function emailProblem(value: string): string | undefined {
  const text = value.trim();
  if (text === '') return m.email_missing();
  if (!text.includes('@')) return m.email_no_at();
  const domain = text.slice(text.lastIndexOf('@') + 1);
  if (!domain.includes('.')) return m.email_no_dot();
  return email.safeParse(text).success ? undefined : m.email_invalid();
}

export function nameProblem(value: string): string | undefined {
  const text = value.trim();
  if (text === '') return m.display_name_missing();
  return text.length > 80 ? m.display_name_long() : undefined;
}

/** Returns a message if no password is typed. The server checks the rules for passwords, because they can be configured. */
export function newPasswordProblem(value: string): string | undefined {
  return value === '' ? m.password_new_missing() : undefined;
}
