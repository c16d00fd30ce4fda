// The JavaScript that a page needs before it works, compressed. Fails when it is more than we allow. Run after a build.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { BUILD, filesOf, PAGES } from './chunks.mjs';

const LIMIT = 130 * 1024;
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;

let isTooMuch = false;
for (const page of PAGES) {
  const { scripts } = filesOf(page);
  const bytes = scripts.reduce((sum, file) => sum + statSync(join(BUILD, `${file}.br`)).size, 0);
  isTooMuch ||= bytes > LIMIT;
  console.log(`${page.name}: ${kib(bytes)} of JavaScript in ${scripts.length} files; allowed are ${kib(LIMIT)}`);
}
process.exit(isTooMuch ? 1 : 0);
