// What a page needs before it works, as the browser gets it: the page, its styles, its scripts and the fonts that those styles name, compressed
// as the server sends them. How much that is, how much room is left below what we allow, and the largest parts. Fails when it is more.
// Run after a build.
import { readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BUILD, filesOf, words } from './chunks.mjs';
import { PAGES } from './pages.mjs';

/** What we want, and what is allowed until we have it, for each kind of page: it only ever gets less. */
const AIM = 110 * 1024;
const LIMITS = { auth: 89, conversation: 128, settings: 129, start: 101 };
const PARTS = 10;
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;

/** As it is sent: fonts and pictures are compressed already. */
const sizeOf = (file) => statSync(join(BUILD, file.endsWith('.woff2') ? file : `${file}.br`)).size;

const fontsOf = (style) =>
  [...readFileSync(join(BUILD, style), 'utf8').matchAll(/url\(["']?([^"')]+\.woff2)/g)].map(([, url]) =>
    join(dirname(style), basename(url))
  );

const sumOf = (files) => files.reduce((sum, file) => sum + sizeOf(file), 0);
/** Whoever reads the longest language waits longest. */
const longest = Object.values(words).sort((one, other) => sumOf(other) - sumOf(one))[0];

let isTooMuch = false;
const parts = new Map();
for (const page of PAGES) {
  const { scripts, styles } = filesOf(page);
  const told = longest.filter((file) => !scripts.includes(file));
  const kinds = { HTML: ['index.html'], scripts, words: told, styles, fonts: [...new Set(styles.flatMap(fontsOf))] };
  const sums = Object.entries(kinds).map(([kind, files]) => {
    for (const file of files) parts.set(file, sizeOf(file));
    return [kind, sumOf(files)];
  });
  const bytes = sums.reduce((sum, [, size]) => sum + size, 0);
  const limit = LIMITS[page.kind] * 1024;
  isTooMuch ||= bytes > limit;
  const counted = sums.filter(([, size]) => size > 0).map(([kind, size]) => `${kind} ${kib(size)}`);
  const over = bytes > AIM ? `; ${kib(bytes - AIM)} more than we want` : '';
  const files = Object.values(kinds).flat().length;
  console.log(
    `${page.name}: ${kib(bytes)} in ${files} files (${counted.join(', ')}); room for ${kib(limit - bytes)}${over}`
  );
}
console.log(`The largest of ${parts.size} files:`);
for (const [file, size] of [...parts].sort(([, one], [, other]) => other - one).slice(0, PARTS))
  console.log(`${kib(size).padStart(10)}  ${file}`);
if (isTooMuch)
  console.error(`Allowed are ${JSON.stringify(LIMITS)} KiB: load later what a page does not need at first.`);
process.exit(isTooMuch ? 1 : 0);
