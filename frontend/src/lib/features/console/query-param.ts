import { page } from '$app/state';
import { pathOf } from '#lib/util/address.ts';
import { goto } from '#lib/util/navigation.ts';

/** Target of the navigation in progress, which a further change is added to. Null if there is none. */
let coming: URL | null = null;

/** Changes query parameters of the current page; an empty value removes the parameter. */
export function setQueryParams(change: Record<string, string | null | undefined>): Promise<void> {
  const from = coming && pathOf(coming) === pathOf(page.url) ? coming : page.url;
  const next = new URL(from.href);
  for (const [name, value] of Object.entries(change)) {
    if (value) next.searchParams.set(name, value);
    else next.searchParams.delete(name);
  }
  coming = next;
  return goto(next, { reset: false, replaceState: !('id' in change) }).finally(() => {
    if (coming === next) coming = null;
  });
}
