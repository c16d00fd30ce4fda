/** One-line previews on every page; the Markdown parser is loaded after the first paint. */
import { m } from '#lib/paraglide/messages.js';
import { attachmentSummary, type Said } from './attachment-summary.ts';

let previewOf = $state.raw<((said: Said) => string) | null>(null);
let isComing = false;

/** Preview like `messagePreview`; strips only common Markdown until the parser has loaded. */
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
