import { page } from '$app/state';
import { goto } from '#lib/util/navigation.ts';
import { useApp } from '#lib/app/app.ts';
import { toast } from '#lib/ui/toast/toast.svelte.ts';
import { m } from '#lib/paraglide/messages.js';
import { oauthStartUrl } from './auth-policy.svelte.ts';
import { clearOAuthReturn, localPath, loadOAuthReturn } from './oauth-return.ts';
import { authError } from './components/errors.ts';

/** What somebody who is signed in puts right in the settings. */
const LINKING = new Set(['link_required', 'fresh_sign_in_required']);

/** Why one is at the door and where one wants to go; leads on there as soon as one is signed in. */
export class AuthRedirect {
  /** What went wrong at a provider. */
  readonly error = page.url.searchParams.get('error');
  readonly oauthReturn = loadOAuthReturn();
  readonly next = localPath(page.url.searchParams.get('next') ?? this.oauthReturn?.next);
  /** The provider that is to be added to the account that signs in now. */
  readonly linking = this.error === 'link_required' ? (this.oauthReturn?.provider ?? null) : null;

  constructor() {
    const { session, authPolicy } = useApp();
    // Somebody who is in already and only comes back from a provider is told there what happened.
    let wasOutside = false;
    $effect(() => {
      if (session.state === 'signed-out') wasOutside = true;
      if (session.state !== 'signed-in') return;
      authPolicy.email = '';
      this.#redirect(wasOutside);
    });
  }

  /** What the page says about the error, or nothing. */
  get failure(): string | null {
    return this.error && this.error !== 'link_required' ? authError(this.error) : null;
  }

  #redirect(wasOutside: boolean): void {
    clearOAuthReturn();
    if (this.linking && wasOutside) {
      location.replace(oauthStartUrl(this.linking, this.next, { link: true }));
      return;
    }
    if (this.error && !wasOutside && LINKING.has(this.error)) {
      // Where one links by oneself what could not be linked by signing in.
      toast(this.error === 'link_required' ? m.auth_link_from_settings() : m.error_fresh_sign_in());
      void goto('/settings#identities', { replace: true });
      return;
    }
    if (this.error && !wasOutside) toast(authError(this.error));
    void goto(this.next, { replace: true });
  }
}
