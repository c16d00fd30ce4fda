/** What a newcomer may do first, and what of it is done: seen from what there is, so that it holds on every device. */
import type { App } from '#lib/app/app.ts';
import type { Conversation } from '#lib/api/types.ts';
import { isAssistantChat, isChannel, isPersonal } from '#lib/features/conversations/kinds.ts';
import { perAccount } from '#lib/app/per-account.ts';
import { dismissedNotesOf, type DismissedNotesStore } from './dismissed-notes.svelte.ts';

export type StepId = 'account' | 'assistant' | 'people' | 'chat' | 'channel' | 'notify';

export interface Step {
  readonly id: StepId;
  readonly isDone: boolean;
}

/** Whether this browser lets the app notify; null: it can’t, or was told not to, and there is nothing to do here. */
export type Notifying = 'granted' | 'default' | null;

const DISMISSED_KEY = 'first-steps';
/** After this an account is no newcomer’s any more. */
const NEW_FOR = 14 * 86_400_000;

/** Of the conversations that somebody is in. */
export function stepsOf(conversations: readonly Conversation[], notifying: Notifying): Step[] {
  const among = (isIt: (conversation: Conversation) => boolean) => conversations.some(isIt);
  const isBegun = ({ last_message }: Conversation) => last_message !== null;
  const steps: Step[] = [
    { id: 'account', isDone: true },
    { id: 'assistant', isDone: among((one) => isAssistantChat(one) && isBegun(one)) },
    // Everybody is in the channels that nobody joins by themselves.
    { id: 'people', isDone: among((one) => !isPersonal(one) && one.member_count > 1) },
    { id: 'chat', isDone: among((one) => !isPersonal(one) && !isChannel(one) && isBegun(one)) },
    { id: 'channel', isDone: among((one) => isChannel(one) && !one.is_default) }
  ];
  if (notifying !== null) steps.push({ id: 'notify', isDone: notifying === 'granted' });
  return steps;
}

/** For whom the steps are: who has begun nothing yet, or came a short time ago. */
export function isNewcomer({ conversations, session }: Pick<App, 'conversations' | 'session'>): boolean {
  if (!conversations.isLoaded) return false;
  const since = Date.parse(session.account?.created_at ?? '');
  return conversations.isEmpty || Date.now() - since < NEW_FOR;
}

export class FirstStepsStore {
  #notifying = $state<Notifying>(notifyingHere());
  readonly #app: Pick<App, 'conversations' | 'session'>;
  readonly #dismissed: DismissedNotesStore;

  constructor(app: Pick<App, 'conversations' | 'session'>, dismissed: DismissedNotesStore) {
    this.#app = app;
    this.#dismissed = dismissed;
  }

  get items(): readonly Step[] {
    return stepsOf(this.#app.conversations.in(undefined), this.#notifying);
  }

  get isShown(): boolean {
    const isPutAway = this.#dismissed.has(DISMISSED_KEY);
    return !isPutAway && isNewcomer(this.#app) && this.items.some(({ isDone }) => !isDone);
  }

  /** What the browser says of it may have changed. */
  refresh(notifying: Notifying): void {
    this.#notifying = notifying;
  }

  dismiss(): void {
    this.#dismissed.dismiss(DISMISSED_KEY);
  }
}

export function notifyingHere(): Notifying {
  if (typeof window === 'undefined' || !('serviceWorker' in navigator) || !('PushManager' in window)) return null;
  if (!('Notification' in window)) return null;
  return Notification.permission === 'denied' ? null : Notification.permission;
}

/** Those of whoever is signed in. */
export const firstStepsOf = perAccount((app) => new FirstStepsStore(app, dismissedNotesOf(app)));
