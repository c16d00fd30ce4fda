/** Previews of messages in one line. They are on every page, so the Markdown parser is loaded after the first paint. */
import { m } from '#lib/paraglide/messages.js';
import { attachmentSummary, type Said } from './attachment-summary.ts';

let previewOf = $state.raw<((said: Said) => string) | null>(null);
let isComing = false;

/** Returns the preview that `messagePreview` creates. Until the parser has loaded, only common Markdown is removed. */
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
