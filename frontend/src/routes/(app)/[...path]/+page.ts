import { error } from '@sveltejs/kit';

/** Catch-all route: without it SvelteKit reloads unknown addresses in a loop. */
export function load(): never {
  error(404);
}
