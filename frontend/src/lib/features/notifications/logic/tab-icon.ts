/** Draws a dot on the icon of the tab: one for unread messages, another one for mentions. */
export type Mark = 'none' | 'unread' | 'concerns';

const COLOURS: Record<Exclude<Mark, 'none'>, string> = { unread: '#f3f9fb', concerns: '#e5484d' };

let wanted: Mark = 'none';
let plain: string | undefined;
let drawn: Promise<string> | undefined;

export async function markTab(mark: Mark): Promise<void> {
  const link = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
  if (mark === wanted || !link) return;
  wanted = mark;
  plain ??= link.href;
  try {
    const icon = mark === 'none' ? plain : marked(await (drawn ??= read(plain)), mark);
    // If the mark has changed meanwhile, this icon is outdated.
    if (wanted === mark) link.href = icon;
  } catch {
    // The next change draws it again.
    drawn = undefined;
  }
}

/** Draws a dot on the icon; returns it as a data URL. */
export function marked(drawing: string, mark: Exclude<Mark, 'none'>): string {
  const dot = `<circle cx="24.5" cy="7.5" r="6.5" fill="${COLOURS[mark]}" stroke="#0c2b37" stroke-width="2"/>`;
  return `data:image/svg+xml,${encodeURIComponent(drawing.replace(/<\/svg>\s*$/, `${dot}</svg>`))}`;
}

async function read(address: string): Promise<string> {
  const response = await fetch(address);
  if (!response.ok) throw new Error('the icon is not there');
  return response.text();
}
