import { plainText } from '#lib/features/markdown/plain.ts';
import type { MessageView } from '#lib/features/conversations/rows.ts';
import { fullTime } from '#lib/i18n/relative-dates.ts';

const MAX_TITLE = 80;

/** Quotes a message with its author, time and link. */
export function quoteOf(
  { content, sender, time }: Pick<MessageView, 'content' | 'sender' | 'time'>,
  link: string
): { title: string; content: string } {
  const text = content.trim();
  const quoted = text.replace(/^.*$/gm, (line) => (line === '' ? '>' : `> ${line}`));
  // Brackets in the name would end the text of the link.
  const name = sender.name.replace(/[[\]\\]/g, ' ').trim();
  return {
    title: plainText(text.split('\n', 1)[0] ?? '', MAX_TITLE),
    content: `${quoted}\n\n[${[name, fullTime(time)].filter(Boolean).join(', ')}](${link})\n\n`
  };
}
