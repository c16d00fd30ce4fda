/**
 * How far an address reaches that stands in a text by itself. Where words are written without spaces it is followed by
 * them, or by a full stop that is none of ASCII, without anything between.
 */

import { lazily } from '#lib/util/lazy.ts';
import { UNSPACED } from './unspaced.ts';

/** An address of the web, and all that follows it without a space or a sign that stands in none. */
const BEGUN = /^(?:(?:https?|ftp):\/\/[\p{L}\p{N}-]|www\.[a-z\d-])[^\s<>"`]*/iu;
/** Punctuation beyond ASCII, and what can't be seen. */
const MARK = String.raw`(?!\p{ASCII})[\p{P}\p{Cf}\uff00-\uffef]`;
/** What follows an address without being a part of it: such writing, and pictures. */
const UNJOINED = String.raw`(?:${UNSPACED}|[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}])`;
const NEXT = String.raw`https?:\/\/`;
/** The host, which ends where such letters come; one that begins with them has an end that tells it from what follows. */
const hostAtStart = lazily(() => {
  const joined = String.raw`^(?:\w+:\/\/)?(?:(?!${MARK}|${UNJOINED}|${NEXT})[^/?#,;'()|*])+`;
  const ended = String.raw`^\w+:\/\/(?:[\p{L}\p{N}-]+\.)+(?:[a-z]{2,}|\p{L}{2,}(?=[/?#:]|$))(?::\d+)?`;
  return new RegExp(`${joined}|${ended}`, 'iu');
});
/** Behind the host such letters are a part of the address where they begin a name: `/wiki/北京`, but not `/docs에서`. */
const restAtStart = lazily(() => {
  const rest = String.raw`^(?:(?!${MARK}|${UNJOINED}|[,;|]+${NEXT}).|(?<=[/=?&#_-])(?:(?!${MARK})${UNJOINED})+)*`;
  return new RegExp(rest, 'iu');
});

const STOPS = '?!.,:;*_\'"~|\\';
const OPENED_BY: Readonly<Record<string, string>> = { ')': '(', ']': '[', '}': '{' };
/** Of an entity such as `&hellip;`. */
const MAX_ENTITY_NAME = 32;

/** The address that a text begins with; null where it begins with none. */
export function addressAt(text: string): string | null {
  const begun = BEGUN.exec(text)?.[0];
  if (begun === undefined) return null;
  const host = hostAtStart().exec(begun)?.[0];
  if (host === undefined) return null;
  const rest = begun.slice(host.length);
  return withoutTail(/^[/?#]/.test(rest) ? host + (restAtStart().exec(rest)?.[0] ?? '') : host);
}

/** Without the stops of the sentence that it is in, and the brackets that it is in: those that it opened are its own. */
function withoutTail(address: string): string {
  const open = new Map<string, number>();
  for (const sign of address) {
    const opener = OPENED_BY[sign] ?? sign;
    if ('([{'.includes(opener)) open.set(opener, (open.get(opener) ?? 0) + (opener === sign ? 1 : -1));
  }
  let end = address.length;
  while (end > 0) {
    const sign = address[end - 1] ?? '';
    const opener = OPENED_BY[sign];
    if (opener !== undefined) {
      const more = open.get(opener) ?? 0;
      if (more >= 0) break;
      open.set(opener, more + 1);
    } else if (!STOPS.includes(sign)) break;
    end -= sign === ';' ? entityBefore(address, end) : 1;
  }
  return address.slice(0, end);
}

/** How long the entity is that ends there; 1 where it is only its semicolon. */
function entityBefore(text: string, end: number): number {
  return /&[a-z\d]+;$/i.exec(text.slice(Math.max(0, end - MAX_ENTITY_NAME), end))?.[0].length ?? 1;
}
