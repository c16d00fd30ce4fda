/** Waits for the outcome of a payment by events and polling. */
import { ApiError, type Api } from '#lib/api/client.ts';
import type { Payment, PaymentStatus } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { Resource } from '#lib/api/resource.svelte.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';

const FIRST_PAUSE = 1_500;
const MAX_PAUSE = 15_000;

const OPEN: ReadonlySet<PaymentStatus> = new Set(['created', 'pending']);

export function isOpen({ status }: Payment): boolean {
  return OPEN.has(status);
}

export class PaymentWatchStore {
  readonly payment: Resource<Payment>;
  #pause = FIRST_PAUSE;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  constructor(api: Api, id: Id) {
    this.payment = new Resource(() => api.get(`/payments/${id}`));
  }

  /** Reloads the payment on events; returns a function that stops this. */
  follow(live: LiveUpdates): () => void {
    const leave = live.on((frame) => {
      // A change of the quota is most likely caused by this payment.
      if (frame.type === 'quota.updated' && this.#isWaiting) void this.poll();
    });
    void this.poll();
    return () => {
      leave();
      this.#isOver = true;
      clearTimeout(this.#timer);
    };
  }

  async poll(): Promise<void> {
    clearTimeout(this.#timer);
    await this.payment.load();
    if (this.#isOver || !this.#isWaiting) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.poll(), this.#pause);
    this.#pause = Math.min(this.#pause * 1.5, MAX_PAUSE);
  }

  get #isWaiting(): boolean {
    const { value, error } = this.payment;
    if (error instanceof ApiError && !error.isNetwork && error.status < 500) return false;
    return value === null || isOpen(value);
  }
}
