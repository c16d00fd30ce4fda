/** What one has missed, told by an assistant. */
import type { App } from '#lib/app/app.ts';
import type { Api } from '#lib/api/client.ts';
import type { CatchUp as Told } from './api.ts';
import type { Id } from '#lib/api/types.ts';
import { perAccount } from '#lib/app/per-account.ts';
import { Answering } from './stores/search-answer.svelte.ts';

export class CatchUp extends Answering<Told> {
  readonly #api: Pick<Api, 'post'>;

  constructor(api: Pick<Api, 'post'>) {
    super();
    this.#api = api;
  }

  /** In a conversation, behind that place in it. */
  askAbout(conversationId: Id, since: number): Promise<void> {
    return this.take('', () => this.#api.post(`/conversations/${conversationId}/catch-up`, { since }));
  }

  /** In all conversations of a workspace. */
  askAboutAll(workspaceId: Id): Promise<void> {
    return this.take('', () => this.#api.post('/catch-up', { workspace_id: workspaceId }));
  }
}

const told = perAccount((_: Pick<App, 'api' | 'session'>) => new Map<string, CatchUp>());

/** What was told stays where it was asked for, though what shows it comes and goes. */
export function catchUpOf(app: Pick<App, 'api' | 'session'>, place: string): CatchUp {
  const of = told(app);
  const one = of.get(place) ?? new CatchUp(app.api);
  of.set(place, one);
  return one;
}
