import { m } from '#lib/paraglide/messages.js';
import { attachmentSummary, type Said } from './logic/attachment-summary.ts';
import { plainText } from '#lib/features/markdown/plain.ts';

/** Preview of a message in one line: its text, or a description of its attachments. */
export function messagePreview({ content, attachments, hidden_at }: Said, limit?: number): string {
  return hidden_at ? m.message_hidden() : plainText(content, limit) || attachmentSummary(attachments);
}
