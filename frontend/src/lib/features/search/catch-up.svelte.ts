/** Summaries of missed messages by an assistant. */
import type { App } from '#lib/app/app.ts';
import type { Api } from '#lib/api/client.ts';
import type { CatchUp as Told } from './api.ts';
import type { Id } from '#lib/api/types.ts';
import { perAccount } from '#lib/app/per-account.ts';
import { AnswerStore } from './stores/search-answer.svelte.ts';

export class CatchUpStore extends AnswerStore<Told> {
  readonly #api: Pick<Api, 'post'>;

  constructor(api: Pick<Api, 'post'>) {
    super();
    this.#api = api;
  }

  /** Summarises a conversation from `since` on. */
  summarizeConversation(conversationId: Id, since: number): Promise<void> {
    return this.run('', () => this.#api.post(`/conversations/${conversationId}/catch-up`, { since }));
  }

  /** Summarises a workspace. */
  summarizeWorkspace(workspaceId: Id): Promise<void> {
    return this.run('', () => this.#api.post('/catch-up', { workspace_id: workspaceId }));
  }
}

const told = perAccount((_: Pick<App, 'api' | 'session'>) => new Map<string, CatchUpStore>());

/** Kept when the component unmounts. */
export function catchUpOf(app: Pick<App, 'api' | 'session'>, place: string): CatchUpStore {
  const of = told(app);
  const one = of.get(place) ?? new CatchUpStore(app.api);
  of.set(place, one);
  return one;
}
