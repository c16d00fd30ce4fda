import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { neverDrawn } from '../../../scripts/slim.mjs';

const PACKAGES = new URL('../../../node_modules/', import.meta.url).pathname;
const HYDRATION = `${PACKAGES}svelte/src/internal/client/dom/hydration.js`;
const CLIENT = `${PACKAGES}@sveltejs/kit/src/runtime/client/client.js`;

const built = (file: string) => neverDrawn(readFileSync(file, 'utf8'), file);

it('leaves nothing by which Svelte could take over a page that a server has drawn', () => {
  const code = built(HYDRATION);
  expect(code).toContain('export const hydrating = false;');
  expect(code).not.toMatch(/^\s*hydrating = /m);
});

it('lets the router draw every page', () => {
  const code = built(CLIENT);
  expect(code).toContain('const render = mount;');
  expect(code).not.toContain('await _hydrate(');
});

it('leaves other modules as they are', () => {
  expect(neverDrawn('export let hydrating = false;', '/src/lib/hydration.js')).toBeUndefined();
});

it('refuses packages that do it in another way', () => {
  expect(() => neverDrawn('export let hydrating;', HYDRATION)).toThrow('take');
});
