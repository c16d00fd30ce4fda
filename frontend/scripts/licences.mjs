// The licences of the packages that the web app is built from, the development tools left out. Fails at one that is not allowed.
import { readFileSync } from 'node:fs';

const ALLOWED = new Set(['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT']);
// Named one by one, with the reason.
const EXCEPTIONS = [
  // Minifies the stylesheet; nothing of it is shipped.
  { name: /^lightningcss(-|$)/, licence: 'MPL-2.0' },
  // Its package.json names none; its LICENSE file is MIT.
  { name: /^svelte-toolbelt$/, licence: undefined }
];

const lock = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8'));
const shipped = Object.entries(lock.packages).filter(([path, entry]) => path !== '' && !entry.dev);
const refused = shipped.filter(([path, { license }]) => {
  const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
  const isExcepted = EXCEPTIONS.some((exception) => exception.name.test(name) && exception.licence === license);
  return !ALLOWED.has(license) && !isExcepted;
});

for (const [path, { license }] of refused) console.error(`${path}: ${license ?? 'no licence'} is not allowed`);
if (shipped.length === 0) console.error('package-lock.json names no packages');
console.log(`${shipped.length} packages, ${refused.length} refused`);
process.exit(refused.length > 0 || shipped.length === 0 ? 1 : 0);
