import { error } from '@sveltejs/kit';

/** Every address that is no page. Where no route matches, SvelteKit loads the whole page again, and again. */
export function load(): never {
  error(404);
}
