// Measures the first load of each page, compressed as the server sends it: HTML, scripts, messages of the largest language, styles and the
// fonts that the styles name. Fails if a page exceeds the limit of its kind. Run after a build.
import { readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BUILD, filesOf, messagesOf } from './chunks.mjs';
import { LOCALES } from './messages.mjs';
import { PAGES } from './pages.mjs';

/** Limits in KiB for each kind of page, about 1 % above the measured size. */
const LIMITS = { auth: 92.5, conversation: 134.9, settings: 133.5, start: 105 };
const PARTS = 10;
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;

/** Transferred size; fonts are compressed already. */
const sizeOf = (file) => statSync(join(BUILD, file.endsWith('.woff2') ? file : `${file}.br`)).size;

const fontsOf = (style) =>
  [...readFileSync(join(BUILD, style), 'utf8').matchAll(/url\(["']?([^"')]+\.woff2)/g)].map(([, url]) =>
    join(dirname(style), basename(url))
  );

/** Styles whose text is in the HTML, so that the browser doesn't load their files. */
const INLINE = new Set(
  [
    ...readFileSync(join(BUILD, 'index.html'), 'utf8').matchAll(/<link href="\/([^"]+)" rel="stylesheet" disabled/g)
  ].map(([, file]) => file)
);

const sumOf = (files) => files.reduce((sum, file) => sum + sizeOf(file), 0);
/** Scripts of groups of messages in the largest language. */
const largestOf = (groups) =>
  LOCALES.map((locale) => groups.map((group) => messagesOf(group, locale))).sort(
    (one, other) => sumOf(other) - sumOf(one)
  )[0];

let isTooMuch = false;
const parts = new Map();
for (const page of PAGES) {
  const { scripts, styles: named, groups } = filesOf(page);
  const styles = named.filter((file) => !INLINE.has(file));
  const texts = largestOf(groups);
  const kinds = {
    HTML: ['index.html'],
    scripts,
    messages: texts,
    styles,
    fonts: [...new Set(styles.flatMap(fontsOf))]
  };
  const sums = Object.entries(kinds).map(([kind, files]) => {
    for (const file of files) parts.set(file, sizeOf(file));
    return [kind, sumOf(files)];
  });
  const bytes = sums.reduce((sum, [, size]) => sum + size, 0);
  const limit = LIMITS[page.kind] * 1024;
  isTooMuch ||= bytes > limit;
  const counted = sums.filter(([, size]) => size > 0).map(([kind, size]) => `${kind} ${kib(size)}`);
  const files = Object.values(kinds).flat().length;
  console.log(`${page.name}: ${kib(bytes)} in ${files} files (${counted.join(', ')}); room for ${kib(limit - bytes)}`);
}
console.log(`The largest of ${parts.size} files:`);
for (const [file, size] of [...parts].sort(([, one], [, other]) => other - one).slice(0, PARTS))
  console.log(`${kib(size).padStart(10)}  ${file}`);
if (isTooMuch)
  console.error(
    `The limits are ${JSON.stringify(LIMITS)} KiB: load by dynamic import what a page does not need at first.`
  );
process.exit(isTooMuch ? 1 : 0);
