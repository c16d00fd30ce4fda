import type { Api } from '#lib/api/client.ts';
import type { Passkey } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { createPasskey } from '../webauthn.ts';
import { PagedResource } from '#lib/api/paged-resource.svelte.ts';

export class PasskeysStore {
  readonly list: PagedResource<Passkey>;
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
    this.list = new PagedResource((page) => api.get('/auth/passkeys', { page, page_size: 50 }));
  }

  /** Creates a passkey. Throws the browser's error if the user declines. */
  async add(name: string): Promise<void> {
    const { challenge_id, publicKey } = await this.#api.post('/auth/passkeys/register/start', {});
    const credential = await createPasskey(publicKey);
    await this.#api.post('/auth/passkeys/register/finish', { challenge_id, credential, name });
    await this.list.load();
  }

  async rename(id: Id, name: string): Promise<void> {
    const renamed = await this.#api.patch(`/auth/passkeys/${id}`, { name });
    this.list.upsert(renamed, (passkey) => passkey.id === id);
  }

  async remove(id: Id): Promise<void> {
    await this.#api.delete(`/auth/passkeys/${id}`);
    this.list.remove((passkey) => passkey.id === id);
  }
}
