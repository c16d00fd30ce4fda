import { m } from '#lib/paraglide/messages.js';

/** People type codes as their app shows them: “123 456”. */
export function plainCode(text: string): string {
  return text.replace(/[\s-]/g, '');
}

export function codeProblem(text: string): string | undefined {
  return /^\d{6}$/.test(plainCode(text)) ? undefined : m.code_six_digits();
}
