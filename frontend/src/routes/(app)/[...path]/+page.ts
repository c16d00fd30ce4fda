import { error } from '@sveltejs/kit';

/** Responds to all other URLs with status 404. Without this route SvelteKit would reload an unknown URL again and again. */
export function load(): never {
  error(404);
}
