import { expect, it } from 'vitest';
import { isNeeded, languageOf } from './shell-files.ts';

const FOLDER = '/_app/immutable';

it('needs the texts of the reader’s language only', () => {
  expect(isNeeded(`${FOLDER}/languages/de/Cz2VTmKS.js`, 'de')).toBe(true);
  expect(isNeeded(`${FOLDER}/languages/en/C8NKqIYv.js`, 'de')).toBe(false);
  expect(languageOf(`${FOLDER}/languages/en/C8NKqIYv.js`)).toBe('en');
});

it('needs files without texts in every language', () => {
  expect(isNeeded(`${FOLDER}/chunks/BBBXhLJ4.js`, 'ja')).toBe(true);
  expect(isNeeded(`${FOLDER}/workers/highlight.worker-7rEMEUsX.js`, 'ja')).toBe(true);
  expect(isNeeded('/icon-192.png', 'ja')).toBe(true);
  expect(languageOf(`${FOLDER}/chunks/BBBXhLJ4.js`)).toBeUndefined();
});

it.each([
  `${FOLDER}/rare/DWRhjFhq.js`,
  `${FOLDER}/assets/KaTeX_Main-Regular.B22Nviop.woff2`,
  `${FOLDER}/assets/compact.BngpUg68.json`
])('doesn’t need %s in advance', (path) => {
  expect(isNeeded(path, 'en')).toBe(false);
});
