import { m } from '#lib/paraglide/messages.js';
import { carried, type Said } from './carried.ts';
import { plainText } from './markdown/plain.ts';

/** A message in one line: its text, else what it carries. */
export function lineOf({ content, attachments, hidden_at }: Said, limit?: number): string {
  return hidden_at ? m.message_hidden() : plainText(content, limit) || carried(attachments);
}
