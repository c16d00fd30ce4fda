import { expect, it } from 'vitest';
import { folderOf } from './chunk-names.mjs';

const SRC = '/app/src/lib';
const PACKAGES = '/app/node_modules';

it.each([
  [`${SRC}/paraglide/groups/rest/de.js`, 'languages/de'],
  [`${PACKAGES}/emojibase-data/fr/messages.json`, 'languages/fr'],
  [`${PACKAGES}/chrono-node/dist/esm/locales/vi/index.js`, 'languages/vi'],
  [`${PACKAGES}/katex/dist/katex.mjs`, 'rare'],
  [`${PACKAGES}/@zxcvbn-ts/core/dist/index.mjs`, 'rare'],
  [`${SRC}/paraglide/groups/rest.js`, undefined],
  [`${SRC}/paraglide/messages/settings.js`, undefined]
])('puts the file of %s into the folder %s', (id, folder) => {
  expect(folderOf([id])).toBe(folder);
});

it('leaves a file in its folder that readers of other languages need', () => {
  expect(folderOf([`${SRC}/features/emoji/emoji-names.ts`, `${PACKAGES}/emojibase-data/en/messages.json`])).toBe(
    undefined
  );
  expect(folderOf([])).toBe(undefined);
});
