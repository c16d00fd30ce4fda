/**
 * Links to channels: an author types `#general`; the sent message contains a link with the channel's id, which stays valid when the channel is
 * renamed.
 */
import type { App } from '#lib/app/app.ts';
import type { Id } from '#lib/api/types.ts';
import { isChannel } from '#lib/features/conversations/kinds.ts';
import { cutMentions, type Name } from '#lib/features/conversations/mentions.ts';
import type { ConversationView } from '#lib/features/conversations/conversation-view.svelte.ts';

const UUID = String.raw`[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}`;
const LINK = new RegExp(String.raw`\[#([^\]\n]*)\]\(/c/(${UUID})\)`, 'gi');
/** Parts of a text in which channel names aren't replaced: code, links and URLs. */
const LITERAL = /(`{3,}[^]*?(?:`{3,}|$)|`[^`\n]*`|\[[^\]\n]*\]\([^)\s]*\)|https?:\/\/\S+)/;
/** Characters that could end or format the text of a link. */
const MARKS = /[\\[\]`*<>]/g;

/** Replaces the channel names in a text by links. */
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

/** Replaces the links in a text by the current names of the channels. `meant`: the linked channels. */
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
  /** Channels that the user has picked from suggestions or that the text contains as links. The user may not be a member of them. */
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
      .joined(this.#workspaceId)
      .filter(isChannel)
      .flatMap(({ id, title }) => (title ? [{ id, name: title, kind: 'channel' as const }] : []));
  }
}

/** Enables links to channels in the composer of a conversation. */
export function linkChannels(app: App, conversationView: ConversationView): void {
  conversationView.directory.channels = new ChannelLinks(app, conversationView.conversation?.workspace_id);
}
