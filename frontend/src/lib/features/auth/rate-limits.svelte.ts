import type { Api } from '#lib/api/client.ts';

/** Rate limit and ban of this client. */
export class RateLimitStore {
  /** Time at which the rate limit ends, in milliseconds since 1970; 0 if there is none. */
  slowedUntil = $state(0);
  /** Time at which the ban ends, in milliseconds since 1970; 0 if there is none. */
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

  /** Requests a public endpoint to find out whether the ban has ended. */
  async recheck(): Promise<void> {
    try {
      await this.#api.get('/auth/oauth/providers');
      this.bannedUntil = 0;
    } catch {
      // Still banned or offline: the next check is due in five seconds.
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
