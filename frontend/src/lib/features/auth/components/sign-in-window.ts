import { withBase } from '#lib/util/address.ts';
import { goto } from '#lib/util/navigation.ts';

/** Page at which the sign-in popup ends. */
export const SIGNED_IN = '/signed-in';

const WINDOW_FEATURES = 'popup,width=480,height=680';

/** Opens a popup for the sign-in at a provider. Returns false if the browser blocks it. */
export function signInWindow(provider: string, here: string): boolean {
  const path = (next: string) => `/login?${new URLSearchParams({ with: provider, next })}`;
  if (window.open(withBase(path(SIGNED_IN)), 'natter-sign-in', WINDOW_FEATURES)) return true;
  void goto(path(here));
  return false;
}
