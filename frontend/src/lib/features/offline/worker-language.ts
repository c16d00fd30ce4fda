/** Language whose texts the service worker caches, stored where pages and the worker can read it. */
import { base } from '#lib/util/address.ts';

/** Name of the cache that pages and the service worker share. */
export const LANGUAGE_CACHE = 'natter-language';
/** Message to the worker that the stored language may have changed. */
export const LANGUAGE_MESSAGE = 'natter.language';

const KEY = `${base}/language`;

/** Stores the language of the page. Without `caches`, there is no service worker either. */
export async function storeLanguage(language: string): Promise<void> {
  await (await caches.open(LANGUAGE_CACHE)).put(KEY, new Response(language));
}

/** Returns the stored language; undefined if no page has stored one. */
export async function readLanguage(): Promise<string | undefined> {
  return (await (await caches.open(LANGUAGE_CACHE)).match(KEY))?.text();
}
