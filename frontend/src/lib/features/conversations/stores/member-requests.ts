import type { Api } from '#lib/api/client.ts';
import type { Id, Member } from '#lib/api/types.ts';

/** Requests that change the members of conversations. */
export class MemberRequests {
  readonly #api: Api;
  readonly #refresh: (id: Id) => Promise<unknown>;

  /** `refresh` reloads a conversation after its members have changed. */
  constructor(api: Api, refresh: (id: Id) => Promise<unknown>) {
    this.#api = api;
    this.#refresh = refresh;
  }

  async add(id: Id, userId: Id): Promise<void> {
    await this.#api.post(`/conversations/${id}/members`, { user_id: userId });
    await this.#refresh(id);
  }

  async addAssistant(id: Id, assistantId: Id): Promise<void> {
    await this.#api.post(`/conversations/${id}/members`, { assistant_id: assistantId });
    await this.#refresh(id);
  }

  async remove(id: Id, userId: Id): Promise<void> {
    await this.#api.delete(`/conversations/${id}/members/${userId}`);
    await this.#refresh(id);
  }

  async setRole(id: Id, userId: Id, role: Member['role']): Promise<void> {
    await this.#api.patch(`/conversations/${id}/members/${userId}`, { role });
    await this.#refresh(id);
  }
}
