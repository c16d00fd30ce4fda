/** Checks the targets of links, and that their texts don't feign another target. */
import { lazily } from '#lib/util/lazy.ts';
import type { Inline } from '../tree.ts';

const SAFE_SCHEMES = new Set(['http:', 'https:', 'mailto:', 'tel:']);
/** Invisible characters and controls of the direction of text. */
const invisiblePattern = lazily(() => /[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u2800]/gu);
const HOST = String.raw`(?:[\p{L}\p{N}_-]+\.)+[\p{L}\p{N}-]{2,}|\d{1,3}(?:\.\d{1,3}){3}|\[(?=[^\]]*:)[\da-f:.]+\]`;
/** URL with a scheme or `www.`, of which the host is captured. */
const addresses = lazily(
  () => new RegExp(String.raw`(?:\p{L}[\p{L}\p{N}+.-]*:[\\/]+(?:[^\s/@]*@)?|\bwww\.)(${HOST}|[\p{L}\p{N}_-]+)`, 'giu')
);
/** Host without a scheme, with an optional path, or an email address. */
const bareAddress = lazily(() => new RegExp(String.raw`^(?:[^\s@]+@)?(${HOST})(?::\d+)?(?:[/?#]\S*)?$`, 'iu'));

/** Link to a conversation of this installation (`channels/channel-links.ts`). */
export const CHANNEL = /^\/c\/([\da-f-]{36})$/i;

/** Link to a page of the console, by which the demo assistant guides administrators. */
export const CONSOLE = /^\/admin\/[a-z]+$/;

/** Returns the normalised URL; null if its scheme is not allowed. */
export function safeHref(href: string): string | null {
  try {
    const url = new URL(href);
    return SAFE_SCHEMES.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/**
 * Text of a link. A text that looks like the URL of another site is replaced by the real URL. If the text may be a host or a name (`main.rs`), the
 * real host is appended.
 */
export function linkText(href: string, children: Inline[]): Inline[] {
  const label = wordsOf(children)
    .normalize('NFKC')
    .replace(invisiblePattern(), '')
    .replace(/[。。]/g, '.')
    .trim();
  const host = hostOf(href);
  const named = [...label.matchAll(addresses())].map(([whole, name = '']) =>
    /^www\./i.test(whole) ? `www.${name}` : name
  );
  if (named.some((name) => !isSame(name, host))) return [{ type: 'text', text: href }];
  const bare = bareAddress().exec(label)?.[1];
  if (bare && !isSame(bare, host)) return [...children, { type: 'text', text: ` (${host})` }];
  return children;
}

export function wordsOf(inlines: readonly Inline[]): string {
  return inlines
    .map((inline) => ('children' in inline ? wordsOf(inline.children) : 'text' in inline ? inline.text : ' '))
    .join('');
}

function hostOf(href: string): string {
  const url = new URL(href);
  return url.hostname || (url.pathname.split('@')[1] ?? url.pathname);
}

function isSame(name: string, host: string): boolean {
  return plain(name) === plain(host);
}

/** Host in lower case and Punycode. */
function plain(host: string): string {
  try {
    return new URL(`http://${host}`).hostname.replace(/^www\./, '');
  } catch {
    return host.toLowerCase();
  }
}
