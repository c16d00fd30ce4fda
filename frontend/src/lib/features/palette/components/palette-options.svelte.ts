/** Options of the command palette. */
import type { Component } from 'svelte';
import type { App } from '#lib/app/app.ts';
import { isAssistantChat, isPair } from '#lib/features/conversations/kinds.ts';
import { messagePreview } from '#lib/features/conversations/message-preview.ts';
import type { Upload } from '#lib/api/files.ts';
import type { SearchHit, SearchResults, SearchType } from '#lib/features/search/api.ts';
import type { Conversation, User } from '#lib/api/types.ts';
import { shortTime } from '#lib/i18n/dates.ts';
import { SuggestionsStore, type Suggestion } from '#lib/features/search/suggestions.svelte.ts';
import { placeName } from '#lib/features/search/place-name.ts';
import { isolated } from '#lib/i18n/bidi-isolate.ts';
import { nameIn } from '#lib/util/enum-lookup.ts';
import { m } from '#lib/paraglide/messages.js';
import type { QueryInput } from '#lib/features/search/query-input.svelte.ts';
import type { Recent, RecentSearchesStore } from '#lib/features/search/recent-searches.svelte.ts';
import type { ChannelsStore } from '#lib/features/channels/channels.svelte.ts';
import { parametersOf } from '#lib/features/search/search.svelte.ts';
import { best, rank } from '#lib/ui/listbox/match.ts';

export interface Command {
  readonly label: string;
  readonly icon: Component;
  readonly run: () => unknown;
}

interface Entry {
  readonly key: string;
  readonly label: string;
  readonly about: string;
}

export type Option =
  | (Entry & { readonly group: 'narrow'; readonly suggestion: Suggestion })
  | (Entry & { readonly group: 'recent'; readonly recent: Recent })
  | (Entry & { readonly group: 'go' | 'browse'; readonly conversation: Conversation })
  | (Entry & { readonly group: 'people'; readonly user: User })
  | (Entry & { readonly group: 'do'; readonly icon: Component; readonly run: () => unknown })
  | (Entry & { readonly group: 'ask' })
  | (Entry & { readonly group: 'files'; readonly hit: SearchHit; readonly file: Upload })
  /** Message that was found. Without `hit`, the option opens the search page. */
  | (Entry & { readonly group: 'messages'; readonly hit?: SearchHit });

export const GROUPS = ['narrow', 'recent', 'go', 'browse', 'people', 'do', 'files', 'messages', 'ask'] as const;

/** Number of channels that are requested. Some of them may be conversations of the user, which are listed already. */
const OTHERS = 20;
const OTHERS_SHOWN = 5;
const PEOPLE_SHOWN = 6;
const MESSAGES_SHOWN = 4;
const FILES_SHOWN = 3;
const RECENT_SHOWN = 4;
const TYPING_PAUSE = 150;

const KINDS = {
  single: m.kind_single,
  group: m.kind_group,
  assistant: m.kind_assistant,
  public_channel: m.kind_public_channel,
  private_channel: m.kind_private_channel
};

export class PaletteOptions {
  readonly #app: App;
  readonly #channels: ChannelsStore;
  readonly #query: QueryInput;
  readonly #recent: RecentSearchesStore;
  readonly #commands: readonly Command[];
  readonly #suggestions: SuggestionsStore;
  #people = $state.raw<User[]>([]);
  /** Channels that the user has not joined. */
  #others = $state.raw<Conversation[]>([]);
  #found = $state.raw<SearchResults | null>(null);
  #foundFiles = $state.raw<readonly SearchHit[]>([]);

  readonly options = $derived.by<readonly Option[]>(() => {
    if (this.#query.pending) return this.#filterOptions();
    const files = this.#fileOptions();
    // If there are filters, only messages and files are searched.
    if (this.#query.chips.length > 0) return [...files, ...this.#messageOptions(files)];
    const text = this.#query.text.trim();
    if (text === '')
      return [...this.#recentOptions(), ...this.#ownConversationOptions('', 6), ...this.#commandOptions('')];
    return [
      ...this.#ownConversationOptions(text, 8),
      ...this.#channelOptions(),
      ...this.#peopleOptions(),
      ...this.#commandOptions(text),
      ...files,
      ...this.#messageOptions(files)
    ];
  });

  constructor(
    app: App,
    channels: ChannelsStore,
    query: QueryInput,
    recent: RecentSearchesStore,
    commands: readonly Command[]
  ) {
    this.#app = app;
    this.#channels = channels;
    this.#query = query;
    this.#recent = recent;
    this.#commands = commands;
    this.#suggestions = new SuggestionsStore(app, query);
    this.#update();
  }

  /** Starts the searches after a pause in typing. */
  #update(): void {
    const { workspaces } = this.#app;
    $effect(() => {
      const { text, chips, pending, isEmpty } = this.#query;
      const workspaceId = workspaces.current?.id;
      const q = text.trim();
      if (pending || isEmpty || !workspaceId) {
        this.#people = [];
        this.#others = [];
        this.#found = null;
        this.#foundFiles = [];
        return;
      }
      let isStale = false;
      const quietly = async <T>(ask: () => Promise<T>, none: T, take: (found: T) => void) => {
        const found = await ask().catch(() => none);
        if (!isStale) take(found);
      };
      const timer = setTimeout(() => {
        void quietly(
          () => this.#search('message', text, workspaceId, MESSAGES_SHOWN),
          null,
          (found) => (this.#found = found)
        );
        void quietly(
          async () => (q === '' ? [] : (await this.#search('file', text, workspaceId, FILES_SHOWN)).items),
          [],
          (found) => (this.#foundFiles = found)
        );
        if (chips.length > 0) return;
        void quietly(
          () => this.#findPeople(workspaceId, q),
          [],
          (people) => (this.#people = people)
        );
        if (workspaces.current?.role === 'guest') return;
        void quietly(
          () => this.#channels.find(workspaceId, q, OTHERS),
          [],
          (others) => (this.#others = others)
        );
      }, TYPING_PAUSE);
      return () => {
        isStale = true;
        clearTimeout(timer);
      };
    });
  }

  #search(type: SearchType, text: string, workspaceId: string, limit: number): Promise<SearchResults> {
    const ask = {
      chips: this.#query.chips,
      text,
      type,
      sort: 'relevance',
      isExact: false,
      workspaceId
    } as const;
    return this.#app.api.get('/search', { ...parametersOf(ask), limit });
  }

  async #findPeople(workspaceId: string, q: string): Promise<User[]> {
    const { conversations, presence, session, workspaces } = this.#app;
    const found = await workspaces.findPeople(workspaceId, q);
    presence.add(found.items);
    // People with whom a conversation exists are listed with the conversations.
    const known = new Set(
      conversations
        .joined(workspaceId)
        .filter(isPair)
        .flatMap((item) => conversations.others(item).map(({ user_id }) => user_id))
    );
    return found.items.filter(({ id }) => id !== session.account?.id && !known.has(id)).slice(0, PEOPLE_SHOWN);
  }

  #filterOptions(): Option[] {
    return this.#suggestions.items.map((suggestion) => ({
      group: 'narrow',
      key: suggestion.key,
      label: suggestion.label,
      about: '',
      suggestion
    }));
  }

  #recentOptions(): Option[] {
    return this.#recent.items.slice(0, RECENT_SHOWN).map((one, index) => ({
      group: 'recent',
      key: `recent-${index}`,
      label: one.text,
      about: one.count === undefined ? '' : m.search_results({ count: one.count }),
      recent: one
    }));
  }

  #ownConversationOptions(text: string, most: number): Option[] {
    const { conversations } = this.#app;
    return best(conversations.joined(undefined), text, (item) => conversations.nameOf(item), most).map(
      (conversation) => ({
        group: 'go',
        key: conversation.id,
        label: conversations.nameOf(conversation) || m.conversation_unnamed(),
        about: aboutOf(conversation),
        conversation
      })
    );
  }

  #channelOptions(): Option[] {
    const unknown = this.#others.filter(({ id }) => !this.#app.conversations.get(id)?.own).slice(0, OTHERS_SHOWN);
    return unknown.map((conversation) => ({
      group: 'browse',
      key: conversation.id,
      label: m.palette_browse({ name: conversation.title ?? '' }),
      about: conversation.topic ?? m.kind_public_channel(),
      conversation
    }));
  }

  #peopleOptions(): Option[] {
    return this.#people.map((user) => ({
      group: 'people',
      key: user.id,
      label: user.display_name,
      about: m.write_to(),
      user
    }));
  }

  #commandOptions(text: string): Option[] {
    return best(this.#commands, text, ({ label }) => label, 10).map((command) => ({
      group: 'do',
      key: command.label,
      about: '',
      ...command
    }));
  }

  /** Files whose name or text matches. If only the message matches, it is listed instead. */
  #fileOptions(): Option[] {
    const { words } = this.#query;
    if (words === '') return [];
    return this.#foundFiles.flatMap((hit): Option[] => {
      const { message } = hit;
      const file = message?.attachments.find(
        ({ id, name }) => hit.file?.upload_id === id || rank(name, words) !== undefined
      );
      if (!message || !file) return [];
      return [{ group: 'files', key: message.id, label: file.name, about: this.#placeAndTime(hit), hit, file }];
    });
  }

  #placeAndTime({ conversation, message }: SearchHit): string {
    const place = placeName(conversation, this.#app.conversations);
    return message ? `${place}, ${shortTime(message.created_at)}` : place;
  }

  #messageOptions(files: readonly Option[]): Option[] {
    const shown = new Set(files.map(({ key }) => key));
    const found = this.#found?.items ?? [];
    const hits = found.flatMap((hit): Option[] => {
      const { message } = hit;
      // The message is listed as a file already.
      if (!message || (shown.has(message.id) && (hit.file || message.content === ''))) return [];
      return [
        { group: 'messages', key: message.id, label: messagePreview(message), about: this.#placeAndTime(hit), hit }
      ];
    });
    const query = this.#query.text.trim();
    const label = query && this.#query.chips.length === 0 ? m.palette_all({ query }) : m.palette_all_filtered();
    const total = this.#found?.total;
    const about = total?.is_all ? m.search_results({ count: total.count }) : '';
    const ask: Option[] = found.length > 0 ? [{ group: 'ask', key: 'ask', label: m.search_ask(), about: '' }] : [];
    return [...hits, { group: 'messages', key: 'all', label, about }, ...ask];
  }
}

/** Text below the name. It distinguishes chats with the same assistant by their time. */
function aboutOf(conversation: Conversation): string {
  const { kind, assistants, last_activity_at } = conversation;
  if (!isAssistantChat(conversation)) return nameIn(KINDS, kind);
  return `${isolated(assistants?.[0]?.name ?? m.kind_assistant())} · ${shortTime(last_activity_at)}`;
}
