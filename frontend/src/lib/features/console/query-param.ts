import { page } from '$app/state';
import { pathOf } from '#lib/util/address.ts';
import { goto } from '#lib/util/navigation.ts';

/** Where the last change leads while it is on its way: the next one adds to it, not to what is still shown. */
let coming: URL | null = null;

/** What is shown of a list stands in the address, so that it can be passed on and come back to. Empty: it is taken out. */
export function setQueryParams(change: Record<string, string | null | undefined>): void {
  const from = coming && pathOf(coming) === pathOf(page.url) ? coming : page.url;
  const next = new URL(from.href);
  for (const [name, value] of Object.entries(change)) {
    if (value) next.searchParams.set(name, value);
    else next.searchParams.delete(name);
  }
  coming = next;
  void goto(next, { reset: false, replaceState: !('id' in change) }).finally(() => {
    if (coming === next) coming = null;
  });
}
