import { expect, it } from 'vitest';
import { toHtml } from './html.ts';

it('writes inline markup', () => {
  expect(toHtml('a **b** _c_ ~~d~~ `e`\nf')).toBe(
    '<p>a <strong>b</strong> <em>c</em> <del>d</del> <code>e</code><br>f</p>'
  );
  expect(toHtml('[a](https://a.example/?b=1&c=2)')).toBe('<p><a href="https://a.example/?b=1&amp;c=2">a</a></p>');
});

it('writes blocks', () => {
  expect(toHtml('## a\n\n> b\n\n---')).toBe('<h2>a</h2><blockquote><p>b</p></blockquote><hr>');
  expect(toHtml('- a\n- [x] b')).toBe('<ul><li>a</li><li>☑ b</li></ul>');
  expect(toHtml('3. a\n4. b')).toBe('<ol start="3"><li>a</li><li>b</li></ol>');
  expect(toHtml('```js\na < b\n```')).toBe('<pre><code>a &lt; b</code></pre>');
  expect(toHtml('| a |\n|---|\n| b |')).toBe(
    '<table border="1"><thead><tr><th>a</th></tr></thead><tbody><tr><td>b</td></tr></tbody></table>'
  );
});

it('passes no markup of the text through', () => {
  expect(toHtml('<img src=x onerror="alert(1)"> & <b>')).not.toMatch(/<img|<b>/);
  expect(toHtml('`<script>`')).toBe('<p><code>&lt;script&gt;</code></p>');
  expect(toHtml('[a](javascript:alert(1))')).not.toContain('href');
});
