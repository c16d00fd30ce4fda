import type { Api } from '#lib/api/client.ts';
import type { Instance } from '../api.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

export interface InstanceFilter {
  /** Text that the host name or id must contain. */
  text: string;
  version: string;
  /** Health that the instance must have; empty for any. */
  state: 'fine' | 'wrong' | '';
}

export function isFine({ database, redis }: Instance): boolean {
  return database && redis !== false;
}

/** Instances of the server. They are filtered in the browser, because there are few. */
export class InstancesStore {
  readonly list: PagedResource<Instance>;
  /** Versions that the instances run. */
  versions = $state.raw<string[]>([]);
  #filter: InstanceFilter = { text: '', version: '', state: '' };

  constructor(api: Api) {
    this.list = new PagedResource(async () => {
      const all = await api.get('/admin/instances');
      this.versions = [...new Set(all.map(({ version }) => version))].toSorted();
      const items = all.filter((one) => this.#isMeant(one));
      return { items, page: 1, page_size: Math.max(items.length, 1), total: items.length };
    });
  }

  find(filter: InstanceFilter): void {
    this.#filter = filter;
    void this.list.load();
  }

  #isMeant(one: Instance): boolean {
    const { text, version, state } = this.#filter;
    const wanted = text.trim().toLowerCase();
    return (
      (one.host.toLowerCase().includes(wanted) || one.id.startsWith(wanted)) &&
      (version === '' || one.version === version) &&
      (state === '' || isFine(one) === (state === 'fine'))
    );
  }
}
