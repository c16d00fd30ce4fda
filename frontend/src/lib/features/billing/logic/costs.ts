import type { Model } from '#lib/api/assistants.ts';

/** Whether the use of a model is charged; false if it has no price. */
export function isCharged(price: Model['price']): boolean {
  const { input = 0, cached = 0, cache_write = 0, output = 0 } = price ?? {};
  return [input, cached, cache_write, output].some((amount) => (amount ?? 0) > 0);
}
