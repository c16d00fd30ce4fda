/** Determines where a URL without markup ends. In scripts without spaces, text or punctuation may follow it directly. */

import { lazily } from '#lib/util/lazy.ts';
import { UNSPACED } from './unspaced.ts';

/** Start of a URL and all following characters up to a space or a character that URLs can't contain. */
const BEGUN = /^(?:(?:https?|ftp):\/\/[\p{L}\p{N}-]|www\.[a-z\d-])[^\s<>"`]*/iu;
/** Non-ASCII punctuation and invisible characters. */
const MARK = String.raw`(?!\p{ASCII})[\p{P}\p{Cf}\uff00-\uffef]`;
/** Characters at which a URL ends: letters of scripts without spaces, and pictographs. */
const UNJOINED = String.raw`(?:${UNSPACED}|[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}])`;
const NEXT = String.raw`https?:\/\/`;
/** Host of a URL. It ends at a letter of a script without spaces, unless it starts with one. */
const hostAtStart = lazily(() => {
  const joined = String.raw`^(?:\w+:\/\/)?(?:(?!${MARK}|${UNJOINED}|${NEXT})[^/?#,;'()|*])+`;
  const ended = String.raw`^\w+:\/\/(?:[\p{L}\p{N}-]+\.)+(?:[a-z]{2,}|\p{L}{2,}(?=[/?#:]|$))(?::\d+)?`;
  return new RegExp(`${joined}|${ended}`, 'iu');
});
/**
 * Rest of a URL. Letters of scripts without spaces belong to it at the start of a path segment, as in `/wiki/北京`, but not elsewhere, as in `/docs에서`.
 */
const restAtStart = lazily(() => {
  const rest = String.raw`^(?:(?!${MARK}|${UNJOINED}|[,;|]+${NEXT}).|(?<=[/=?&#_-])(?:(?!${MARK})${UNJOINED})+)*`;
  return new RegExp(rest, 'iu');
});

const STOPS = '?!.,:;*_\'"~|\\';
const OPENED_BY: Readonly<Record<string, string>> = { ')': '(', ']': '[', '}': '{' };
/** Maximum length of the name of an HTML entity such as `&hellip;`. */
const MAX_ENTITY_NAME = 32;

/** Returns the URL at the start of a text; null if there is none. */
export function addressAt(text: string): string | null {
  const begun = BEGUN.exec(text)?.[0];
  if (begun === undefined) return null;
  const host = hostAtStart().exec(begun)?.[0];
  if (host === undefined) return null;
  const rest = begun.slice(host.length);
  return withoutTail(/^[/?#]/.test(rest) ? host + (restAtStart().exec(rest)?.[0] ?? '') : host);
}

/** Removes punctuation and unbalanced brackets from the end of a URL. */
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

/** Length of the HTML entity that ends at `end`; 1 if there is only a semicolon. */
function entityBefore(text: string, end: number): number {
  return /&[a-z\d]+;$/i.exec(text.slice(Math.max(0, end - MAX_ENTITY_NAME), end))?.[0].length ?? 1;
}
