/** The router, for paths as they are inside of the app. */
import { goto as go } from '$app/navigation';
import { base } from './address.ts';

/** Goes to a path of ours, or to another query of the same page; a whole address stays as it is. */
export function goto(to: string | URL, options?: Parameters<typeof go>[1]): Promise<void> {
  return go(typeof to === 'string' && to.startsWith('/') ? base + to : to, options);
}
