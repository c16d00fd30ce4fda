/** Finds links to messages of this installation, which “Copy link” creates (`conversations/logic/message-marks.ts`). */
import { pathOf } from '#lib/util/address.ts';
import type { Forwarded } from '#lib/api/types.ts';
import { ownLines } from '#lib/features/markdown/custom-tokens.ts';
import type { Block, Inline } from '#lib/features/markdown/tree.ts';
import { parseUrl } from '#lib/util/parse-url.ts';

const UUID = String.raw`[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}`;
const PATH = new RegExp(`^/c/(${UUID})/m/(${UUID})/?$`);

/** Maximum number of linked messages that are shown below a message. */
const MAX_ITEMS = 3;

/** Returns the message to which a URL leads; null if it leads elsewhere. */
export function messageAt(href: string, origin: string = location.origin): Forwarded | null {
  const url = parseUrl(href);
  if (url?.origin !== origin) return null;
  const [, conversationId, messageId] = PATH.exec(pathOf(url).toLowerCase()) ?? [];
  return conversationId && messageId ? { conversation_id: conversationId, message_id: messageId } : null;
}

/** Returns the links to messages in a text without duplicates. Links in quotes are skipped. */
export function linkedIn(blocks: readonly Block[], origin: string = location.origin): Forwarded[] {
  const found = new Map<string, Forwarded>();
  for (const href of blocks.flatMap(ownLines).flatMap(linksIn)) {
    const message = messageAt(href, origin);
    if (message && found.size < MAX_ITEMS) found.set(message.message_id, message);
  }
  return [...found.values()];
}

function linksIn(inlines: readonly Inline[]): string[] {
  return inlines.flatMap((inline) => {
    if (inline.type === 'link') return [inline.href];
    return 'children' in inline ? linksIn(inline.children) : [];
  });
}
