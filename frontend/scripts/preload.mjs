// One page of HTML serves every address, so it can't name the files of each. This puts in a line of script that asks for
// those of the address at once; without it they would be found only when the router has run. Part of the build.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUILD, filesOf, words } from './chunks.mjs';
import { writeCompressed } from './compress.mjs';
import { BASE } from './messages.mjs';
import { PAGES } from './pages.mjs';

const MARK = '<!-- preload -->';
const index = join(BUILD, 'index.html');
const html = readFileSync(index, 'utf8');
if (!html.includes(MARK)) throw new Error(`src/app.html has no ${MARK}`);

const pages = PAGES.map((page) => {
  const { scripts, styles } = filesOf(page);
  const isNew = (file) => !html.includes(file);
  return [page.at, scripts.filter(isNew), styles.filter(isNew)];
});
const script = `<script>
      // The language as the app will choose it.
      const told = ${JSON.stringify(words)};
      const asked = navigator.languages.flatMap((one) => [one, one.split('-')[0]]);
      try {
        asked.unshift(localStorage.getItem('PARAGLIDE_LOCALE'));
      } catch {}
      const words = told[asked.find((one) => told[one]) ?? '${BASE}'];
      for (const [at, scripts, styles] of ${JSON.stringify(pages)}) {
        if (!here.startsWith(at) || (at === '/' && (!window.natterEarly || window.natterAuthPage))) continue;
        const hint = (file, more) => document.head.append(Object.assign(document.createElement('link'), { href: window.natterBase + '/' + file }, more));
        [...scripts, ...words].forEach((file) => hint(file, { rel: 'modulepreload' }));
        styles.forEach((file) => hint(file, { rel: 'preload', as: 'style', crossOrigin: '' }));
        break;
      }
    </script>`;
writeCompressed(
  index,
  html.replace(MARK, () => script)
);
