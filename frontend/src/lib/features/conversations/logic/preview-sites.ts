/** Finds the links of a text that will have a preview, by the rules of the server. */
import { parseUrl } from '#lib/util/parse-url.ts';

const MAX_ITEMS = 3;
const LINK = /(?<![\p{L}\p{N}])https?:\/\/[^\s<>"]+/gu;
/** Punctuation after a URL that isn't part of it. */
const TRAILING_PUNCTUATION = /[.,;:!?'*_~)\]]+$/;

/** Names of the sites to which the first links outside code lead, without duplicates. */
export function previewedSites(text: string): string[] {
  const found = new Map<string, string>();
  let isFenced = false;
  for (const line of text.split('\n')) {
    if (line.trimStart().startsWith('```')) isFenced = !isFenced;
    else if (!isFenced) for (const url of linksIn(line)) if (found.size < MAX_ITEMS) found.set(url.href, siteOf(url));
  }
  return [...new Set(found.values())];
}

/** Links of a line whose host is complete, so that the previews don't flicker while a link is typed. */
function linksIn(line: string): URL[] {
  // Drops every second part, because it is between backticks.
  const parts = line.split('`').filter((_, at) => at % 2 === 0);
  const links = parts.flatMap((part) => [...part.matchAll(LINK)]);
  return links.flatMap(([link]) => {
    const url = parseUrl(link.replace(TRAILING_PUNCTUATION, ''));
    return url?.hostname.includes('.') ? [url] : [];
  });
}

function siteOf({ host }: URL): string {
  return host.replace(/^www\./, '');
}
