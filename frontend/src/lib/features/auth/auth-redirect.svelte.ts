import { page } from '$app/state';
import { goto } from '#lib/util/navigation.ts';
import { useApp } from '#lib/app/app.ts';
import { toast } from '#lib/ui/toast/toast.svelte.ts';
import { m } from '#lib/paraglide/messages.js';
import { oauthStartUrl } from './auth-policy.svelte.ts';
import { clearOAuthReturn, localPath, loadOAuthReturn } from './oauth-return.ts';
import { authError } from './components/errors.ts';

/** Errors of a provider that the user resolves by linking it in the settings. */
const LINKING = new Set(['link_required', 'fresh_sign_in_required']);

/** Reason why the sign-in page is shown, and the path to continue at. Redirects there once the user has signed in. */
export class AuthRedirect {
  /** Error code of the OAuth provider; null if there is none. */
  readonly error = page.url.searchParams.get('error');
  readonly oauthReturn = loadOAuthReturn();
  readonly next = localPath(page.url.searchParams.get('next') ?? this.oauthReturn?.next);
  /** Provider that is linked to the account after this sign-in; null if there is none. */
  readonly linking = this.error === 'link_required' ? (this.oauthReturn?.provider ?? null) : null;

  constructor() {
    const { session, authPolicy } = useApp();
    // A user who is already signed in only gets the result of the provider.
    let wasOutside = false;
    $effect(() => {
      if (session.state === 'signed-out') wasOutside = true;
      if (session.state !== 'signed-in') return;
      authPolicy.email = '';
      this.#redirect(wasOutside);
    });
  }

  /** Message about the error; null if there is none. */
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
      // An identity can only be linked in the settings, so the user is told to go there.
      toast(this.error === 'link_required' ? m.auth_link_from_settings() : m.error_fresh_sign_in());
      void goto('/settings#identities', { replace: true });
      return;
    }
    if (this.error && !wasOutside) toast(authError(this.error));
    void goto(this.next, { replace: true });
  }
}
