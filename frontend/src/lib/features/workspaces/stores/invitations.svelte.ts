import type { Api } from '#lib/api/client.ts';
import type { Invitation, NewInvitation, SkippedAddress } from '#lib/features/auth/api.ts';
import type { Id, WorkspaceRole } from '#lib/api/types.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';
import { BATCH_SIZE } from '../addresses.ts';

export type InvitationInput =
  { email: string; role: WorkspaceRole } | { max_uses: number; days: number; role: WorkspaceRole };

const DAY = 86_400_000;

/** Invitations to a workspace that are still open. */
export class InvitationsStore {
  readonly list: PagedResource<Invitation>;
  /** Invitation that was just created, with its link, which is shown only once. Null if there is none. */
  fresh = $state.raw<NewInvitation | null>(null);
  readonly #api: Api;
  readonly #path: `/workspaces/${Id}/invitations`;
  readonly #now: () => number;

  constructor(api: Api, workspaceId: Id, now: () => number = Date.now) {
    this.#api = api;
    this.#path = `/workspaces/${workspaceId}/invitations`;
    this.#now = now;
    this.list = new PagedResource((page) => api.get(this.#path, { page, page_size: 50 }));
  }

  async create(input: InvitationInput): Promise<void> {
    const body =
      'email' in input
        ? input
        : {
            max_uses: input.max_uses,
            role: input.role,
            expires_at: new Date(this.#now() + input.days * DAY).toISOString()
          };
    const made = await this.#api.post(this.#path, body);
    this.fresh = made;
    this.list.upsert(made, ({ id }) => id === made.id);
  }

  /** Invites each address by email. Returns how many were invited, and the others with the reason. */
  async createMany(emails: string[], role: WorkspaceRole): Promise<{ invited: number; skipped: SkippedAddress[] }> {
    const done = { invited: 0, skipped: [] as SkippedAddress[] };
    for (let start = 0; start < emails.length; start += BATCH_SIZE) {
      const body = { emails: emails.slice(start, start + BATCH_SIZE), role };
      const { invited, skipped } = await this.#api.post(`${this.#path}/batch`, body);
      for (const made of invited) this.list.upsert(made, ({ id }) => id === made.id);
      done.invited += invited.length;
      done.skipped.push(...skipped);
    }
    return done;
  }

  async revoke(id: Id): Promise<void> {
    await this.#api.delete(`${this.#path}/${id}`);
    if (this.fresh?.id === id) this.fresh = null;
    this.list.remove((invitation) => invitation.id === id);
  }
}
