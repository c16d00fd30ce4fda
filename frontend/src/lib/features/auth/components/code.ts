import { codeOf } from './codes.ts';
import { m } from '#lib/paraglide/messages.js';

export function codeProblem(text: string): string | undefined {
  return codeOf(text) ? undefined : m.code_six_digits();
}
