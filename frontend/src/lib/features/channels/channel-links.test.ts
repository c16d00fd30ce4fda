import { expect, it } from 'vitest';
import { linked, unlinked } from './channel-links.ts';
import type { Name } from '#lib/features/conversations/mentions.ts';

const ID = '0193c0de-0000-7000-8000-00000000000a';
const OTHER = '0193c0de-0000-7000-8000-00000000000b';
const channels: Name[] = [
  { id: ID, name: 'general', kind: 'channel' },
  { id: OTHER, name: 'general [old]', kind: 'channel' }
];

it('links the channels that a text names', () => {
  expect(linked('See #general, and #nothing', channels)).toBe(`See [#general](/c/${ID}), and #nothing`);
  expect(linked('#general [old]', channels)).toBe(`[#general old](/c/${OTHER})`);
  expect(linked('a#general #generally', channels)).toBe('a#general #generally');
});

it('leaves code, links and URLs unchanged', () => {
  for (const text of [
    '`#general`',
    '```\n#general\n```',
    '```\n#general',
    `[#general](/c/${ID})`,
    'https://x.test/#general'
  ])
    expect(linked(text, channels)).toBe(text);
});

it('shows the current names of linked channels while editing', () => {
  const text = `See [#main](/c/${ID}) and [#gone](/c/${OTHER}).`;
  const found = unlinked(text, channels.slice(0, 1));
  expect(found.text).toBe('See #general and #gone.');
  expect(linked(found.text, found.meant)).toBe(`See [#general](/c/${ID}) and [#gone](/c/${OTHER}).`);
});
