import type { Api } from '#lib/api/client.ts';
import type { Job, JobKind, JobStatus } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { Resource } from '#lib/api/resource.svelte.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

const PAGE_SIZE = 50;

/** Pending, running and dead jobs. */
export class JobsStore {
  readonly list: PagedResource<Job>;
  /** Kinds of which there are jobs. */
  readonly kinds: Resource<JobKind[]>;
  readonly #api: Api;
  #status: JobStatus | undefined;
  #kind: string | undefined;

  constructor(api: Api) {
    this.#api = api;
    this.kinds = new Resource(() => api.get('/admin/job_kinds'));
    this.list = new PagedResource((page) =>
      api.get('/admin/jobs', { status: this.#status, kind: this.#kind, page, page_size: PAGE_SIZE })
    );
  }

  find(status: JobStatus | undefined, kind: string | undefined): void {
    this.#status = status;
    this.#kind = kind;
    void this.list.load();
    void this.kinds.load();
  }

  async requeue(id: Id): Promise<void> {
    await this.#api.post(`/admin/jobs/${id}/requeue`);
    await this.#reload();
  }

  /** Requeues all dead jobs of the selected kind, or of all kinds; returns their number. */
  async requeueAll(): Promise<number> {
    const { requeued } = await this.#api.post('/admin/jobs/requeue', { kind: this.#kind });
    await this.#reload();
    return requeued;
  }

  /** Deletes all dead jobs of the selected kind, or of all kinds; returns their number. */
  async discardAll(): Promise<number> {
    const { deleted } = await this.#api.delete('/admin/jobs', { kind: this.#kind });
    await this.#reload();
    return deleted;
  }

  async discard(id: Id): Promise<void> {
    await this.#api.delete(`/admin/jobs/${id}`);
    await this.#reload();
  }

  #reload(): Promise<void> {
    void this.kinds.load();
    return this.list.load(this.list.page || 1);
  }
}
