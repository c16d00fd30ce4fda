import { pastedFiles } from '#lib/features/files/file-choices.ts';
import type { ComposerState } from './composer-state.svelte.ts';
import { asFile, isLargePaste } from './large-paste.ts';

/** Pasting into a composer: files become attachments, tables become Markdown, and a long text can become a file. */
export class ComposerPaste {
  /** Long text that was just pasted and can be sent as a file instead; null if there is none. */
  large = $state.raw<string | null>(null);
  readonly #composer: ComposerState;

  constructor(composer: ComposerState) {
    this.#composer = composer;
  }

  handlePaste(event: ClipboardEvent): void {
    const data = event.clipboardData;
    if (!data) return;
    const { attachments } = this.#composer;
    const html = data.getData('text/html');
    const pictures = pastedFiles(data);
    if (html.includes('<table')) void this.#pasteTable(html, data.getData('text/plain'));
    else if (pictures && attachments) void attachments.attach(pictures);
    else {
      // Converts line breaks to those of the text field.
      const words = data.getData('text/plain').replaceAll(/\r\n?/g, '\n');
      if (isLargePaste(words)) this.large = words;
      return;
    }
    event.preventDefault();
  }

  /** Attaches a long text as a file and removes it from the field. At the end of the text, the space before it is removed, too. */
  async sendAsFile(words: string): Promise<void> {
    const composer = this.#composer;
    if (!(await composer.attachments?.attach([asFile(words)]))) return;
    this.large = null;
    const { text } = composer;
    const start = text.indexOf(words);
    if (start === -1) return;
    const end = start + words.length;
    const isLast = text.slice(end).trim() === '';
    if (isLast) await composer.replaceRange(text.slice(0, start).trimEnd().length, text.length, '');
    else await composer.replaceRange(start, end, '');
  }

  async #pasteTable(html: string, plain: string): Promise<void> {
    const composer = this.#composer;
    const made = await import('./table-paste.ts').then(
      ({ tableFrom }) => tableFrom(html),
      () => null
    );
    composer.field?.focus();
    const { start, end } = composer.selection;
    // A Markdown table must start on a line of its own.
    const lead = made && start > 0 && composer.text[start - 1] !== '\n' ? '\n\n' : '';
    await composer.replaceRange(start, end, made === null ? plain : `${lead}${made}\n`);
  }
}
