/** Navigation of SvelteKit's router by paths of the app. */
import { goto as go } from '$app/navigation';
import { base } from './address.ts';

/** Navigates to a path or query of the app, or to an absolute URL. */
export function goto(to: string | URL, options?: Parameters<typeof go>[1]): Promise<void> {
  return go(typeof to === 'string' && to.startsWith('/') ? base + to : to, options);
}
