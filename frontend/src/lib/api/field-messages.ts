import { number } from '#lib/i18n/numbers.ts';
import { m } from '#lib/paraglide/messages.js';
import type { FieldError } from './client.ts';
import { provideErrorMessages } from './field-errors.svelte.ts';

/** Translated messages, keyed by error code or by field and code. */
const SENTENCES: Record<string, (message: string) => string> = {
  no_price: m.refused_price,
  not_allowed: m.refused_not_allowed,
  unknown: m.refused_unknown,
  not_found: m.refused_unknown,
  taken: m.refused_taken,
  required: m.refused_required,
  missing: m.refused_required,
  too_long: maxMessage,
  too_many: maxMessage,
  too_large: maxMessage,
  too_short: minMessage,
  too_small: minMessage,
  duplicate: m.refused_duplicate,
  forbidden: m.refused_address,
  too_wide: m.refused_wide,
  trusted: m.refused_trusted,
  unavailable: m.refused_thread,
  nothing_found: m.refused_nothing_found,
  'model.unknown': m.refused_model,
  'models.unknown': m.refused_model,
  'member_ids.not_found': m.refused_person,
  'user_id.not_found': m.refused_person,
  'owner_id.not_found': m.refused_person,
  'attachment_ids.not_found': m.refused_file,
  'reply_to.not_found': m.refused_message,
  'thread_id.not_found': m.refused_message,
  'forward_of.not_found': m.refused_message
};

/** Translates a field error; undefined if only the server has a text for it. */
function sentenceOf({ field, code, message }: FieldError): string | undefined {
  return (SENTENCES[`${field}.${code}`] ?? SENTENCES[code])?.(message);
}

/** Extracts the quantity from the server's message: “64 KiB” from “Use 64 KiB or less.” */
function amountIn(message: string): string | undefined {
  const [, digits, unit = ''] = /(\d[\d,]*)( [KMG]iB)?/.exec(message) ?? [];
  return digits && number(Number(digits.replaceAll(',', ''))) + unit;
}

function maxMessage(message: string): string {
  const amount = amountIn(message);
  return amount ? m.refused_most({ most: amount }) : m.refused_less();
}

function minMessage(message: string): string {
  const amount = amountIn(message);
  return amount ? m.refused_least({ least: amount }) : m.refused_more();
}

// Importing this module installs its messages.
provideErrorMessages(sentenceOf);
