import type { Api } from '#lib/api/client.ts';
import type { MailTest, QuestionTest, Setup } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { Resource } from '#lib/api/resource.svelte.ts';

/** Number of people who can use the invitation link. */
const MAX_INVITES = 50;

/** Set-up state of the installation. */
export class SetupStore {
  readonly resource: Resource<Setup>;
  mail = $state.raw<MailTest | null>(null);
  question = $state.raw<QuestionTest | null>(null);
  /** Invitation link that was created on this page; null if there is none. */
  link = $state.raw<string | null>(null);
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
    this.resource = new Resource(() => api.get('/admin/setup'));
  }

  async rename(id: Id, name: string): Promise<void> {
    await this.#api.patch(`/workspaces/${id}`, { name });
    await this.resource.load();
  }

  async tryMail(): Promise<void> {
    this.mail = await this.#api.post('/admin/setup/mail');
    await this.resource.load();
  }

  async tryQuestion(): Promise<void> {
    this.question = await this.#api.post('/admin/setup/question');
    await this.resource.load();
  }

  async invite(workspaceId: Id): Promise<void> {
    const made = await this.#api.post(`/workspaces/${workspaceId}/invitations`, {
      max_uses: MAX_INVITES,
      role: 'member'
    });
    this.link = made.url;
  }

  async finish(finished: boolean): Promise<void> {
    this.resource.set(await this.#api.patch('/admin/setup', { finished }));
  }
}
