import { describe, expect, it } from 'vitest';
import type { Api } from '#lib/api/client.ts';
import { GatewayModelsStore } from './gateway.svelte.ts';

const all = Array.from({ length: 450 }, (_, at) => ({ name: `model-${at}` }));

interface Query {
  q?: string;
  page: number;
  page_size: number;
}

/** Fake server with a list that is loaded page by page. */
function get(_path: string, { q = '', page, page_size }: Query) {
  const found = all.filter(({ name }) => name.includes(q));
  const items = found.slice((page - 1) * page_size, page * page_size);
  return Promise.resolve({ items, page, page_size, total: found.length });
}

describe('GatewayModelsStore', () => {
  it('searches on the server and keeps the names of all models', async () => {
    const models = new GatewayModelsStore({ get } as unknown as Api);
    await models.names.load();
    models.find('model-44');
    await expect.poll(() => models.list.total).toBe(11);
    expect(models.names.value).toEqual(all.map(({ name }) => name));
    models.find('');
    await expect.poll(() => models.list.total).toBe(450);
    expect(models.list.items).toHaveLength(50);
  });
});
