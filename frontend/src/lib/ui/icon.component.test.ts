import Check from '@lucide/svelte/icons/check';
import { expect, it } from 'vitest';
import { render } from '#lib/testing/render.svelte.ts';
import Icon from './icon.svelte';

it.each([
  [undefined, 18],
  ['sm', 14],
  ['md', 16],
  ['lg', 22]
] as const)('is %s: a drawing of %i px that screen readers skip', (size, pixels) => {
  const { stage } = render(Icon, size ? { icon: Check, size } : { icon: Check });
  const drawing = stage.querySelector('svg');
  expect(drawing?.getAttribute('aria-hidden')).toBe('true');
  expect(drawing?.getBoundingClientRect()).toMatchObject({ width: pixels, height: pixels });
});
