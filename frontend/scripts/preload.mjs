// Adds a script to index.html that preloads the files of the current path. One HTML page serves every path, so without it the browser would
// find these files only when the router runs. Part of the build.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUILD, filesOf, messagesOf } from './chunks.mjs';
import { writeCompressed } from './compress.mjs';
import { BASE, LOCALES } from './messages.mjs';
import { PAGES } from './pages.mjs';

const MARK = '<!-- preload -->';
const index = join(BUILD, 'index.html');
const html = readFileSync(index, 'utf8');
if (!html.includes(MARK)) throw new Error(`src/app.html has no ${MARK}`);

const groups = new Set();
const pages = PAGES.map((page) => {
  const { scripts, styles, groups: needed } = filesOf(page);
  for (const group of needed) groups.add(group);
  const isNew = (file) => !html.includes(file);
  return [page.at, scripts.filter(isNew), styles.filter(isNew), needed];
});
/** Scripts of the messages by group, one for each language. */
const texts = Object.fromEntries(
  [...groups].map((group) => [group, LOCALES.map((locale) => messagesOf(group, locale))])
);
const script = `<script>
      // Same choice of the language as in src/lib/i18n/locale.ts.
      const languages = ${JSON.stringify(LOCALES)};
      const texts = ${JSON.stringify(texts)};
      const asked = navigator.languages.flatMap((one) => [one, one.split('-')[0]]);
      try {
        asked.unshift(localStorage.getItem('PARAGLIDE_LOCALE'));
      } catch {}
      const language = languages.indexOf(asked.find((one) => languages.includes(one)) ?? '${BASE}');
      for (const [at, scripts, styles, groups] of ${JSON.stringify(pages)}) {
        if (!here.startsWith(at) || (at === '/' && (!window.natterEarly || window.natterAuthPage))) continue;
        const hint = (file, more) => document.head.append(Object.assign(document.createElement('link'), { href: window.natterBase + '/' + file }, more));
        [...scripts, ...groups.map((group) => texts[group][language])].forEach((file) => hint(file, { rel: 'modulepreload' }));
        styles.forEach((file) => hint(file, { rel: 'preload', as: 'style', crossOrigin: '' }));
        break;
      }
    </script>`;
/** Leaves out comments and indentation, which every page load would transfer. */
const withoutComments = (page) => page.replace(/^\s*(\/\/.*|<!--.*-->)\n/gm, '').replace(/^\s+/gm, '');
writeCompressed(index, withoutComments(html.replace(MARK, () => script)));
