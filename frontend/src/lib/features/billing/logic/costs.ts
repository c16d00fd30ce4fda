import type { Model } from '#lib/api/assistants.ts';

/** Whether words that a model of this price reads and writes cost anything. Without a price, asking it costs nothing. */
export function costs(price: Model['price']): boolean {
  const { input = 0, cached = 0, cache_write = 0, output = 0 } = price ?? {};
  return [input, cached, cache_write, output].some((amount) => (amount ?? 0) > 0);
}
