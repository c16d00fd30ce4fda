import { page } from '$app/state';
import { goto } from '#lib/util/navigation.ts';
import { useApp } from '#lib/app/app.ts';
import { toast } from '#lib/ui/toast/toast.svelte.ts';
import { m } from '#lib/paraglide/messages.js';
import { oauthStartUrl } from './auth-policy.svelte.ts';
import { clearOAuthReturn, localPath, loadOAuthReturn } from './oauth-return.ts';
import { authError } from './components/errors.ts';

/** Errors that are resolved in the settings. */
const LINKING = new Set(['link_required', 'fresh_sign_in_required']);

/** Reason for the sign-in page and the path after it; redirects once signed in. */
export class AuthRedirect {
  /** Error of the OAuth provider. */
  readonly error = page.url.searchParams.get('error');
  readonly oauthReturn = loadOAuthReturn();
  readonly next = localPath(page.url.searchParams.get('next') ?? this.oauthReturn?.next);
  /** Provider to link after this sign-in. */
  readonly linking = this.error === 'link_required' ? (this.oauthReturn?.provider ?? null) : null;

  constructor() {
    const { session, authPolicy } = useApp();
    // Already signed in: only show the provider's result.
    let wasOutside = false;
    $effect(() => {
      if (session.state === 'signed-out') wasOutside = true;
      if (session.state !== 'signed-in') return;
      authPolicy.email = '';
      this.#redirect(wasOutside);
    });
  }

  /** Error shown on the page. */
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
      // Linking is done from the settings.
      toast(this.error === 'link_required' ? m.auth_link_from_settings() : m.error_fresh_sign_in());
      void goto('/settings#identities', { replace: true });
      return;
    }
    if (this.error && !wasOutside) toast(authError(this.error));
    void goto(this.next, { replace: true });
  }
}
