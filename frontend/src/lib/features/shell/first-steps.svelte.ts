/** First steps of a new user. Whether a step is done follows from the user's data, so it is the same on every device. */
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

/** Permission for notifications; null if they aren't supported or the user has denied them. */
export type Notifying = 'granted' | 'default' | null;

const DISMISSED_KEY = 'first-steps';
/** Age in milliseconds up to which an account counts as new. */
const NEW_FOR = 14 * 86_400_000;

/** Steps, with whether each is done, derived from the user's conversations. Without the right to invite people, that step is left out. */
export function stepsOf(conversations: readonly Conversation[], notifying: Notifying, mayInvite = true): Step[] {
  const among = (isIt: (conversation: Conversation) => boolean) => conversations.some(isIt);
  const isBegun = ({ last_message }: Conversation) => last_message !== null;
  const steps: Step[] = [
    { id: 'account', isDone: true },
    { id: 'assistant', isDone: among((one) => isAssistantChat(one) && isBegun(one)) },
    ...(mayInvite ? [{ id: 'people' as const, isDone: among((one) => !isPersonal(one) && one.member_count > 1) }] : []),
    { id: 'chat', isDone: among((one) => !isPersonal(one) && !isChannel(one) && isBegun(one)) },
    { id: 'channel', isDone: among((one) => isChannel(one) && !one.is_default) }
  ];
  if (notifying !== null) steps.push({ id: 'notify', isDone: notifying === 'granted' });
  return steps;
}

/** Whether the user is new: the account is, or nothing has been started yet. */
export function isNewcomer({ conversations, session }: Pick<App, 'conversations' | 'session'>): boolean {
  if (!conversations.isLoaded) return false;
  const since = Date.parse(session.account?.created_at ?? '');
  return conversations.isEmpty || Date.now() - since < NEW_FOR;
}

export class FirstStepsStore {
  #notifying = $state<Notifying>(notifyingHere());
  readonly #app: Pick<App, 'conversations' | 'session' | 'workspaces'>;
  readonly #dismissed: DismissedNotesStore;

  constructor(app: Pick<App, 'conversations' | 'session' | 'workspaces'>, dismissed: DismissedNotesStore) {
    this.#app = app;
    this.#dismissed = dismissed;
  }

  get items(): readonly Step[] {
    const { conversations, workspaces } = this.#app;
    return stepsOf(conversations.joined(undefined), this.#notifying, workspaces.mayInvite);
  }

  get isShown(): boolean {
    const isPutAway = this.#dismissed.has(DISMISSED_KEY);
    return !isPutAway && isNewcomer(this.#app) && this.items.some(({ isDone }) => !isDone);
  }

  /** Updates the permission for notifications. */
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

/** First steps for the current account. */
export const firstStepsOf = perAccount((app) => new FirstStepsStore(app, dismissedNotesOf(app)));
