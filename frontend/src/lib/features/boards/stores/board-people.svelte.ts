import type { Api } from '#lib/api/client.ts';
import type { Id, Member } from '#lib/api/types.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

const PAGE_SIZE = 50;

/** Members of the conversation, to whom tasks can be assigned. */
export class BoardPeopleStore {
  readonly list: PagedResource<Member>;
  #query = '';

  constructor(api: Pick<Api, 'get'>, conversationId: Id) {
    this.list = new PagedResource(
      (page) =>
        api.get(`/conversations/${conversationId}/members`, {
          page,
          page_size: PAGE_SIZE,
          ...(this.#query && { q: this.#query })
        }),
      ({ user_id }) => user_id
    );
  }

  search(query: string): void {
    this.#query = query.trim();
    void this.list.load();
  }
}
