import type { Api } from '#lib/api/client.ts';
import type { Figures, FiguresRange } from '#lib/api/console.ts';
import { Asked } from './asked.svelte.ts';

/** The installation’s figures. */
export class FiguresStore {
  readonly asked: Asked<Figures>;
  #range: FiguresRange = '1h';

  constructor(api: Api) {
    this.asked = new Asked(() => api.get('/admin/figures', { range: this.#range }));
  }

  show(range: FiguresRange): void {
    this.#range = range;
    void this.asked.load();
  }
}
