import type { FilterOf } from '#lib/api/calls.ts';
import type { Api } from '#lib/api/client.ts';
import type { AdminConversation } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';
import { AdminResource } from './admin-resource.svelte.ts';

const PATH = '/admin/conversations';
const PAGE_SIZE = 50;

export type AdminConversationFilter = FilterOf<'/admin/conversations'>;

/** All conversations of the installation without their content, for admins. Paged by cursor, because the server gives no total. */
export class AdminConversationsStore extends AdminResource<AdminConversation> {
  readonly list: PagedResource<AdminConversation>;
  #filter: AdminConversationFilter = {};
  /** Id of the last item of each page visited so far: the cursor of the following page. */
  #ends: Id[] = [];

  constructor(api: Api) {
    super(api, PATH);
    this.list = new PagedResource(async (page) => {
      const before = this.#ends[page - 2];
      const asked = { ...this.#filter, before, limit: PAGE_SIZE };
      const { items, has_more } = await api.get(PATH, asked);
      const end = items.at(-1);
      if (end) this.#ends[page - 1] = end.id;
      const total = (page - 1) * PAGE_SIZE + items.length + (has_more ? 1 : 0);
      return { items, page, page_size: PAGE_SIZE, total };
    });
  }

  find(filter: AdminConversationFilter): void {
    this.#filter = filter;
    this.#ends = [];
    void this.list.load();
  }
}
