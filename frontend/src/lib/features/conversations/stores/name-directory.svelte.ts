import type { App } from '#lib/app/app.ts';
import type { Mention } from '#lib/api/types.ts';
import type { ChannelLinks } from '#lib/features/channels/channel-links.ts';
import type { ConversationContext } from '../context.ts';
import type { ConversationView, Reader } from '../conversation-view.svelte.ts';
import { isChannel, isPersonal, mayMentionAll } from '../kinds.ts';
import { mentionsIn, mentionsReader, isMentioned, type Name } from '../mentions.ts';
import type { MessageView } from '../rows.ts';

const ID_LENGTH = 36;
const EVERYBODY: readonly Name[] = [
  { name: 'all', kind: 'all' },
  { name: 'here', kind: 'here' }
];

/** Names of people, assistants, channels and emoji that the texts of a conversation can contain. */
export class NameDirectoryStore {
  /** Returns the custom emoji of a workspace; null until their module has loaded. */
  emojiIn = $state.raw<((workspaceId: string) => readonly Name[]) | null>(null);
  /** Converts channel names to links and back; null until its module has loaded. */
  channels: ChannelLinks | null = null;

  /** Names that the user has picked from suggestions, latest first. They decide if several people have the same name. */
  #picked: readonly Name[] = [];
  /** Assistants of the workspace that answer mentions. They are loaded when the user starts to type a mention. */
  #mentionable = $state.raw<readonly Name[]>([]);
  #hasRequestedMentionable = false;

  readonly #app: App;
  readonly #chat: ConversationContext;
  readonly #view: ConversationView;

  /** Members of a large conversation who are known only because they have written messages. */
  readonly #knownSenders = $derived.by<readonly Reader[]>(() => {
    if (this.#view.knowsEverybody) return [];
    const known = new Set([this.#app.session.account?.id, ...this.#view.others.map(({ id }) => id)]);
    return this.#chat.people.in(this.#view.id).filter(({ id }) => !known.has(id));
  });
  /** People and assistants who can be mentioned, as far as they are known. */
  readonly names = $derived.by<readonly Name[]>(() => {
    const { conversation, others, workspaceRole } = this.#view;
    return [
      { name: this.#app.session.account?.display_name ?? '', kind: 'me' },
      ...[...others, ...this.#knownSenders].map(({ id, name }) => ({ id, name, kind: 'person' as const })),
      ...(conversation?.assistants ?? []).map(({ id, name }) => ({ id, name, kind: 'assistant' as const })),
      ...this.#mentionable.filter(({ id }) => !conversation?.assistants?.some((member) => member.id === id)),
      ...(conversation && mayMentionAll(conversation, workspaceRole) ? EVERYBODY : [])
    ];
  });
  /** Key that changes with the channels themselves but not with their messages, so that the names aren't computed again for each message. */
  readonly #channelKey = $derived.by(() =>
    this.#app.conversations
      .joined(this.#view.conversation?.workspace_id)
      .filter(isChannel)
      .flatMap(({ id, title }) => (title ? [`${id}${title}`] : []))
      .sort()
      .join('\n')
  );
  readonly emoji = $derived.by<readonly Name[]>(() => {
    const { conversation } = this.#view;
    return (conversation && this.emojiIn?.(conversation.workspace_id)) ?? [];
  });
  /** Names that a text can contain: `names`, channels and custom emoji. */
  readonly allNames = $derived.by<readonly Name[]>(() => {
    const channels = this.#channelKey.split('\n').map((line) => ({
      id: line.slice(0, ID_LENGTH),
      name: line.slice(ID_LENGTH),
      kind: 'channel' as const
    }));
    return [...this.names, ...(this.#channelKey ? channels : []), ...this.emoji];
  });

  constructor(app: App, chat: ConversationContext, view: ConversationView) {
    this.#app = app;
    this.#chat = chat;
    this.#view = view;
  }

  /** Names that a typed mention may mean, in order of precedence. */
  get mentionableNames(): readonly Name[] {
    return [...this.#picked, ...this.names];
  }

  mentionsIn(content: string): Mention[] {
    return mentionsIn(content, this.mentionableNames);
  }

  /** Name of a member. While it is unknown, it is empty and requested. */
  nameOf(userId: string): string {
    const member = this.#view.conversation?.members?.find((member) => member.user_id === userId);
    return member?.display_name ?? this.#chat.people.nameOf(this.#view.id, userId) ?? '';
  }

  /** Whether a message mentions the reader. A message that a program has sent may do so in its text only. */
  mentionsReader({ content, mentions, status }: MessageView): boolean {
    if (isMentioned(mentions, this.#app.session.account?.id ?? null)) return true;
    // While a message is streaming, its text would have to be parsed again for each word.
    return status !== 'streaming' && mentionsReader(content, this.names);
  }

  /** Requests the names of these people, as far as they are unknown. */
  loadNames(userIds: readonly string[]): void {
    for (const id of userIds) if (this.nameOf(id) === '') void this.#chat.people.find(this.#view.id, id);
  }

  /** Requests the assistants that can be mentioned although they aren't members. */
  loadAssistants(): void {
    const { conversation } = this.#view;
    if (!conversation || isPersonal(conversation) || this.#hasRequestedMentionable) return;
    this.#hasRequestedMentionable = true;
    this.#app.workspaces.assistants(conversation.workspace_id).then(
      (found) => {
        this.#mentionable = found
          .filter(({ answers_mentions }) => answers_mentions)
          .map(({ id, name, description }) => ({
            id,
            name,
            kind: 'assistant',
            ...(description && { about: description })
          }));
      },
      // If the request fails, only members are offered, and the next mention tries again.
      () => (this.#hasRequestedMentionable = false)
    );
  }

  findPeople(query: string, limit: number): Promise<Reader[]> {
    return this.#chat.people.search(this.#view.id, query, limit);
  }

  /** Records that the user has picked this person, assistant or channel, so that its name means it from now on. */
  remember(named: Name): void {
    const { id, name, kind } = named;
    // `@all` and `@here` have no id, because they mean nobody in particular.
    if (!id) return;
    this.#picked = [named, ...this.#picked.filter((one) => one.id !== id)];
    if (kind === 'person' && !this.#view.others.some((other) => other.id === id))
      this.#chat.people.add(this.#view.id, { id, name });
  }

  /** Converts a text to the form in which its author edits it, with channel names instead of links. */
  wordsOf(content: string): string {
    return this.channels?.unlinked(content) ?? content;
  }
}
