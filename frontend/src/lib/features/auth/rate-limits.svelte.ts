import type { Api } from '#lib/api/client.ts';

/** What the server holds against us for a while: too much at once, or this network altogether. */
export class RateLimitStore {
  /** Until when something waits by itself (milliseconds since 1970), or 0. */
  slowedUntil = $state(0);
  /** Until when this network is refused, or 0. */
  bannedUntil = $state(0);

  readonly #api: Api;
  #slowed: ReturnType<typeof setTimeout> | undefined;

  constructor(api: Api) {
    this.#api = api;
    api.onSlowed = (seconds) => this.#slow(seconds);
    api.onBanned = (seconds) => (this.bannedUntil = Date.now() + seconds * 1000);
  }

  get isBanned(): boolean {
    return this.bannedUntil > 0;
  }

  /** Whether it is over: asks what anybody may ask. A new answer about the ban says how long it still is. */
  async recheck(): Promise<void> {
    try {
      await this.#api.get('/auth/oauth/providers');
      this.bannedUntil = 0;
    } catch {
      // Still banned, with a new time; or not reachable: then it is asked again in a moment.
      this.bannedUntil = Math.max(this.bannedUntil, Date.now() + 5000);
    }
  }

  #slow(seconds: number): void {
    const until = Date.now() + seconds * 1000;
    if (until <= this.slowedUntil) return;
    this.slowedUntil = until;
    clearTimeout(this.#slowed);
    this.#slowed = setTimeout(() => (this.slowedUntil = 0), seconds * 1000 + 500);
  }
}
