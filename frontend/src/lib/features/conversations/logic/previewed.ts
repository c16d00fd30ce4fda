/** Links that get a preview; same rules as the server's. */

const MAX_ITEMS = 3;
const LINK = /(?<![\p{L}\p{N}])https?:\/\/[^\s<>"]+/gu;
/** Punctuation after a URL. */
const BEHIND = /[.,;:!?'*_~)\]]+$/;

/** Distinct hosts of the first links outside code. */
export function previewedSites(text: string): string[] {
  const found = new Map<string, string>();
  let isFenced = false;
  for (const line of text.split('\n')) {
    if (line.trimStart().startsWith('```')) isFenced = !isFenced;
    else if (!isFenced) for (const url of linksIn(line)) if (found.size < MAX_ITEMS) found.set(url.href, siteOf(url));
  }
  return [...new Set(found.values())];
}

/** Links with a complete host, so that typing doesn't flicker. */
function linksIn(line: string): URL[] {
  // Odd parts are inside backticks.
  const parts = line.split('`').filter((_, at) => at % 2 === 0);
  const links = parts.flatMap((part) => [...part.matchAll(LINK)]);
  return links.flatMap(([link]) => {
    const url = URL.parse(link.replace(BEHIND, ''));
    return url?.hostname.includes('.') ? [url] : [];
  });
}

function siteOf({ host }: URL): string {
  return host.replace(/^www\./, '');
}
