/** Channel links: the author types `#general`, the message contains a link by id, which survives renames. */
import type { App } from '#lib/app/app.ts';
import type { Id } from '#lib/api/types.ts';
import { isChannel } from '#lib/features/conversations/kinds.ts';
import { cutMentions, type Name } from '#lib/features/conversations/mentions.ts';
import type { ConversationView } from '#lib/features/conversations/conversation-view.svelte.ts';

const UUID = String.raw`[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}`;
const LINK = new RegExp(String.raw`\[#([^\]\n]*)\]\(/c/(${UUID})\)`, 'gi');
/** Code, links and URLs are not parsed. */
const LITERAL = /(`{3,}[^]*?(?:`{3,}|$)|`[^`\n]*`|\[[^\]\n]*\]\([^)\s]*\)|https?:\/\/\S+)/;
/** Characters that are unsafe in link text. */
const MARKS = /[\\[\]`*<>]/g;

/** Replaces channel names by links. */
export function linked(text: string, channels: readonly Name[]): string {
  if (!text.includes('#')) return text;
  const link = (name: string, id: string) => `[#${name.replace(MARKS, '')}](/c/${id})`;
  return text
    .split(LITERAL)
    .map((part, at) =>
      at % 2 === 1
        ? part
        : cutMentions(part, channels)
            .map(({ text, kind, id }) => (kind === 'channel' && id ? link(text.slice(1), id) : text))
            .join('')
    )
    .join('');
}

/** Replaces links by current names; returns the channels too. */
export function unlinked(text: string, channels: readonly Name[]): { text: string; meant: readonly Name[] } {
  const meant: Name[] = [];
  const words = text.replace(LINK, (_, written: string, id: string) => {
    const name = channels.find((channel) => channel.id === id)?.name ?? written;
    meant.push({ id, name, kind: 'channel' });
    return `#${name}`;
  });
  return { text: words, meant };
}

export class ChannelLinks {
  /** Chosen or linked channels, which the user need not be a member of. */
  #meant: readonly Name[] = [];
  readonly #app: App;
  readonly #workspaceId: Id | undefined;

  constructor(app: App, workspaceId: Id | undefined) {
    this.#app = app;
    this.#workspaceId = workspaceId;
  }

  remember(id: Id, name: string): void {
    this.#meant = [{ id, name, kind: 'channel' }, ...this.#meant.filter((one) => one.id !== id)];
  }

  linked(text: string): string {
    return linked(text, [...this.#meant, ...this.#known()]);
  }

  unlinked(text: string): string {
    const found = unlinked(text, this.#known());
    for (const { id = '', name } of found.meant) this.remember(id, name);
    return found.text;
  }

  #known(): Name[] {
    return this.#app.conversations
      .in(this.#workspaceId)
      .filter(isChannel)
      .flatMap(({ id, title }) => (title ? [{ id, name: title, kind: 'channel' as const }] : []));
  }
}

/** Enables channel links in a conversation. */
export function linkChannels(app: App, conversationView: ConversationView): void {
  conversationView.directory.channels = new ChannelLinks(app, conversationView.conversation?.workspace_id);
}
