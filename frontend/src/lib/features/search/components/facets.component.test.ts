import { expect, it } from 'vitest';
import { page } from 'vitest/browser';
import { createTestApp } from '#lib/testing/app.ts';
import { UNBROKEN } from '#lib/testing/data.ts';
import { expectEllipsis, expectNoOverflow } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import { QueryInput } from '../query-input.svelte.ts';
import { SearchStore } from '../search.svelte.ts';
import Facets from './facets.svelte';

it('cuts a long name of a channel, and shows all counts', async () => {
  const testApp = createTestApp();
  const search = new SearchStore(testApp.app.api);
  search.facets = {
    author: [{ id: 'u1', name: UNBROKEN, count: 7 }],
    conversation: [
      { id: 'c1', name: UNBROKEN, count: 12 },
      { id: 'c2', name: 'support', count: 345 }
    ],
    has: [],
    day: []
  };
  const { stage } = render(
    Facets,
    { search, query: new QueryInput(), onchange: () => undefined },
    { in: testApp, width: 220 }
  );
  const edge = stage.getBoundingClientRect().right;
  for (const count of ['7', '12', '345']) {
    const { right } = elementOf(page.getByText(count, { exact: true })).getBoundingClientRect();
    expect(right).toBeLessThanOrEqual(edge);
  }
  expectNoOverflow(stage);
  const name = elementOf(page.getByText(UNBROKEN).first());
  expectEllipsis(name);
  expect(name.title).toBe(UNBROKEN);
});
