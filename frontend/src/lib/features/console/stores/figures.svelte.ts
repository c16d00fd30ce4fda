import type { Api } from '#lib/api/client.ts';
import type { Figures, FiguresRange } from '../api.ts';
import { Resource } from '#lib/api/resource.svelte.ts';

/** Metrics of the installation. */
export class FiguresStore {
  readonly resource: Resource<Figures>;
  #range: FiguresRange = '1h';

  constructor(api: Api) {
    this.resource = new Resource(() => api.get('/admin/figures', { range: this.#range }));
  }

  show(range: FiguresRange): void {
    this.#range = range;
    void this.resource.load();
  }
}
