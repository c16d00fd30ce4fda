/** Summaries of unread messages, written by an assistant. */
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

  /** Requests a summary of the messages of a conversation after the event `since`. */
  summarizeConversation(conversationId: Id, since: number): Promise<void> {
    return this.run('', () => this.#api.post(`/conversations/${conversationId}/catch-up`, { since }));
  }

  /** Requests a summary of the unread messages of a workspace. */
  summarizeWorkspace(workspaceId: Id): Promise<void> {
    return this.run('', () => this.#api.post('/catch-up', { workspace_id: workspaceId }));
  }
}

const catchUpStores = perAccount((_: Pick<App, 'api' | 'session'>) => new Map<string, CatchUpStore>());

/** Summary of a place (conversation or workspace). It is kept when the component that shows it is unmounted. */
export function catchUpOf(app: Pick<App, 'api' | 'session'>, place: string): CatchUpStore {
  const of = catchUpStores(app);
  const one = of.get(place) ?? new CatchUpStore(app.api);
  of.set(place, one);
  return one;
}
