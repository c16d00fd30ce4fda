/** A message in one line on every page: what reads markdown is too much for a first load, and comes right behind it. */
import { m } from '#lib/paraglide/messages.js';
import { attachmentSummary, type Said } from './attachment-summary.ts';

let previewOf = $state.raw<((said: Said) => string) | null>(null);
let isComing = false;

/** As `lineOf` in `message-preview.ts`; until that is there, without the commonest marks. */
export function loadPreview(said: Said): string {
  if (previewOf) return previewOf(said);
  if (!isComing) {
    isComing = true;
    import('../message-preview.ts').then(
      (line) => (previewOf = line.messagePreview),
      () => (isComing = false)
    );
  }
  if (said.hidden_at) return m.message_hidden();
  const words = said.content.slice(0, 560).replace(/[`*_~#>]+/g, '');
  return words.replace(/\s+/g, ' ').trim() || attachmentSummary(said.attachments);
}
