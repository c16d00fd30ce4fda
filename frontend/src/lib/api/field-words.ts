import { number } from '#lib/numbers.ts';
import { m } from '#lib/paraglide/messages.js';
import type { FieldError } from './client.ts';

/** By the code alone, or by the field and the code where one can say more. */
const SENTENCES: Record<string, (message: string) => string> = {
  no_price: m.error_no_price,
  not_allowed: m.error_model_not_allowed,
  unknown: m.error_field_unknown,
  not_found: m.error_field_unknown,
  taken: m.error_field_taken,
  required: m.error_field_required,
  missing: m.error_field_required,
  too_long: most,
  too_many: most,
  too_large: most,
  too_short: least,
  too_small: least,
  duplicate: m.error_field_duplicate,
  forbidden: m.error_field_address,
  too_wide: m.error_field_wide,
  trusted: m.error_field_trusted,
  unavailable: m.error_field_thread,
  nothing_found: m.error_field_nothing_found,
  'model.unknown': m.error_field_model,
  'models.unknown': m.error_field_model,
  'member_ids.not_found': m.error_field_person,
  'user_id.not_found': m.error_field_person,
  'owner_id.not_found': m.error_field_person,
  'attachment_ids.not_found': m.error_field_file,
  'reply_to.not_found': m.error_field_message,
  'thread_id.not_found': m.error_field_message,
  'forward_of.not_found': m.error_field_message
};

/** Why the server refuses a field, in the reader’s language; undefined: only the server knows. */
export function sentenceOf({ field, code, message }: FieldError): string | undefined {
  return (SENTENCES[`${field}.${code}`] ?? SENTENCES[code])?.(message);
}

/** What it is that the server’s sentence counts: “Use 64 KiB or less.” */
function amountIn(message: string): string | undefined {
  const [, digits, unit = ''] = /(\d[\d,]*)( [KMG]iB)?/.exec(message) ?? [];
  return digits && number(Number(digits.replaceAll(',', ''))) + unit;
}

function most(message: string): string {
  const amount = amountIn(message);
  return amount ? m.error_field_most({ most: amount }) : m.error_field_less();
}

function least(message: string): string {
  const amount = amountIn(message);
  return amount ? m.error_field_least({ least: amount }) : m.error_field_more();
}
