// The JavaScript that a page needs before it works, compressed: how much, how much room is left below what we allow, and its largest parts.
// Fails when it is more. Run after a build.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { BUILD, filesOf } from './chunks.mjs';
import { PAGES } from './pages.mjs';

const LIMIT = 150 * 1024;
const PARTS = 10;
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;

let isTooMuch = false;
const parts = new Map();
for (const page of PAGES) {
  const { scripts } = filesOf(page);
  const sizes = scripts.map((file) => [file, statSync(join(BUILD, `${file}.br`)).size]);
  for (const [file, size] of sizes) parts.set(file, size);
  const bytes = sizes.reduce((sum, [, size]) => sum + size, 0);
  isTooMuch ||= bytes > LIMIT;
  console.log(`${page.name}: ${kib(bytes)} of JavaScript in ${scripts.length} files; room for ${kib(LIMIT - bytes)}`);
}
console.log(`The largest of ${parts.size} files:`);
for (const [file, size] of [...parts].sort(([, one], [, other]) => other - one).slice(0, PARTS))
  console.log(`${kib(size).padStart(10)}  ${file}`);
if (isTooMuch) console.error(`Allowed are ${kib(LIMIT)}: load later what a page does not need at first.`);
process.exit(isTooMuch ? 1 : 0);
