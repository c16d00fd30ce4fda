import { expect, it } from 'vitest';
import { abilitiesOf } from './abilities.ts';

const model = { id: 'small', name: 'Small' };
const able = { images: true, pdf: true, audio: true, tools: true, reasoning: true };

it.each([
  [undefined, ['Reads files']],
  [able, ['Sees images', 'Sees PDFs', 'Reads files', 'Hears audio', 'Uses tools', 'Thinks']]
])('describes a model with the capabilities %j', (capabilities, words) => {
  const abilities = abilitiesOf({ ...model, capabilities } as Parameters<typeof abilitiesOf>[0]);
  expect(abilities.map(({ short }) => short())).toEqual(words);
});
