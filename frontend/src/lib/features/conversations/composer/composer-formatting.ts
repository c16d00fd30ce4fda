import { isApple } from '#lib/features/shell/keys.ts';
import { shortcutKey } from '#lib/util/key-letter.ts';
import type { Format, Formats } from './formats.ts';

/** Shortcuts by key: with the command key, with Shift too, and with Shift and Alt too. */
const COMMAND: Record<string, Format> = { b: 'bold', i: 'emphasis', e: 'code', k: 'link' };
const COMMAND_SHIFT: Record<string, Format> = { x: 'strike', Digit7: 'numbers', Digit8: 'bullets', Digit9: 'quote' };
const COMMAND_SHIFT_ALT: Record<string, Format> = { c: 'codeBlock' };

function formatOf(event: KeyboardEvent): Format | undefined {
  const isCommand = isApple ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey;
  if (!isCommand) return undefined;
  const key = event.code.startsWith('Digit') ? event.code : shortcutKey(event);
  if (!event.shiftKey) return event.altKey ? undefined : COMMAND[key];
  // On Apple devices Alt changes the character that the key types.
  return event.altKey ? COMMAND_SHIFT_ALT[event.code.slice(-1).toLowerCase()] : COMMAND_SHIFT[key];
}

/** Formatting of the text in a composer by keys and by buttons. Its commands are loaded after the composer. */
export class ComposerFormatting {
  #formats: Formats | null = null;
  readonly #field: () => HTMLTextAreaElement | undefined;

  constructor(field: () => HTMLTextAreaElement | undefined) {
    this.#field = field;
  }

  async load(): Promise<Formats> {
    return (this.#formats ??= await import('./formats.ts'));
  }

  async apply(format: Format): Promise<void> {
    const formats = this.#formats ?? (await this.load());
    const field = this.#field();
    if (field) formats.applyFormat(field, format);
  }

  /** Handles a key of the text field. Returns whether it was used. */
  handleKeydown(event: KeyboardEvent): boolean {
    const field = this.#field();
    const format = formatOf(event);
    if (!field) return false;
    // Without a selection the key of links opens the command palette, as elsewhere.
    if (format === 'link' && field.selectionStart === field.selectionEnd) return false;
    if (format) {
      void this.apply(format);
      return true;
    }
    return this.#formats?.handleTextKey(event, field) ?? false;
  }
}
