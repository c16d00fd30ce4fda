import type { Api } from '#lib/api/client.ts';
import type { MailTest, QuestionTest, Setup } from '#lib/api/console.ts';
import type { NewInvitation } from '#lib/api/identity.ts';
import type { Id } from '#lib/api/types.ts';
import { Asked } from './asked.svelte.ts';

/** Somebody may pass a link on; that many come by it. */
const MOST = 50;

/** The first hour of an installation: what it still needs. */
export class SetupStore {
  readonly asked: Asked<Setup>;
  mail = $state.raw<MailTest | null>(null);
  question = $state.raw<QuestionTest | null>(null);
  /** A link for the others, made here. */
  link = $state.raw<string | null>(null);
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
    this.asked = new Asked(() => api.get<Setup>('/admin/setup'));
  }

  async rename(id: Id, name: string): Promise<void> {
    await this.#api.patch(`/workspaces/${id}`, { name });
    await this.asked.load();
  }

  async tryMail(): Promise<void> {
    this.mail = await this.#api.post<MailTest>('/admin/setup/mail');
    await this.asked.load();
  }

  async tryQuestion(): Promise<void> {
    this.question = await this.#api.post<QuestionTest>('/admin/setup/question');
    await this.asked.load();
  }

  async invite(workspaceId: Id): Promise<void> {
    const made = await this.#api.post<NewInvitation>(`/workspaces/${workspaceId}/invitations`, {
      max_uses: MOST,
      role: 'member'
    });
    this.link = made.url;
  }

  async finish(finished: boolean): Promise<void> {
    this.asked.tell(await this.#api.patch<Setup>('/admin/setup', { finished }));
  }
}
