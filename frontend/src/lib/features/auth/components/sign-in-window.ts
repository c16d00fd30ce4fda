import { withBase } from '#lib/util/address.ts';
import { goto } from '#lib/util/navigation.ts';

/** Last page of the sign-in popup. */
export const SIGNED_IN = '/signed-in';

const WINDOW_FEATURES = 'popup,width=480,height=680';

/** Opens a sign-in popup. Returns false if the browser blocks it. */
export function signInWindow(provider: string, here: string): boolean {
  const path = (next: string) => `/login?${new URLSearchParams({ with: provider, next })}`;
  if (window.open(withBase(path(SIGNED_IN)), 'natter-sign-in', WINDOW_FEATURES)) return true;
  void goto(path(here));
  return false;
}
