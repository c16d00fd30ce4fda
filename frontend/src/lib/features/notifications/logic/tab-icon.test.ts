import { beforeEach, expect, it, vi } from 'vitest';
import { marked, markTab } from './tab-icon.ts';

const DRAWING = '<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>\n';
const PLAIN = 'https://natter.test/favicon.svg';
const link = { href: PLAIN };

beforeEach(() => {
  vi.stubGlobal('document', { querySelector: () => link });
  vi.stubGlobal('fetch', () => Promise.resolve(new Response(DRAWING)));
});

it('draws a dot over the icon and keeps the icon', () => {
  const [unread, concerns] = [marked(DRAWING, 'unread'), marked(DRAWING, 'concerns')];
  expect(unread).not.toBe(concerns);
  const drawing = decodeURIComponent(unread.replace('data:image/svg+xml,', ''));
  expect(drawing).toMatch(/^<svg [^>]+><rect\/><circle [^>]+\/><\/svg>$/);
});

it('applies the latest request', async () => {
  await Promise.all([markTab('unread'), markTab('concerns')]);
  expect(link.href).toBe(marked(DRAWING, 'concerns'));
  await Promise.all([markTab('unread'), markTab('none')]);
  expect(link.href).toBe(PLAIN);
});
