/** Which links of a text are previewed, as the server finds them. */

const MAX_ITEMS = 3;
const LINK = /(?<![\p{L}\p{N}])https?:\/\/[^\s<>"]+/gu;
/** Of the sentence around it. */
const BEHIND = /[.,;:!?'*_~)\]]+$/;

/** The sites of the first links, each once, without those in code. */
export function previewedSites(text: string): string[] {
  const found = new Map<string, string>();
  let isFenced = false;
  for (const line of text.split('\n')) {
    if (line.trimStart().startsWith('```')) isFenced = !isFenced;
    else if (!isFenced) for (const url of linksIn(line)) if (found.size < MAX_ITEMS) found.set(url.href, siteOf(url));
  }
  return [...new Set(found.values())];
}

/** Those whose host is whole: who is still typing one is not told of each letter. */
function linksIn(line: string): URL[] {
  // Every second part stands between backticks.
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
