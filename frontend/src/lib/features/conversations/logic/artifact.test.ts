import { describe, expect, it } from 'vitest';
import { artifactOf, artifactsIn, fileNameOf, pageOf, versionsOf } from './artifact.ts';

const page = (title: string, text: string) => `<!doctype html><title>${title}</title><p>${text}</p>`;
const fenced = (language: string, text: string) => `Here it is:\n\n\`\`\`${language}\n${text}\n\`\`\`\n`;

describe('artifacts', () => {
  it('are pages, drawings, documents and long code blocks', () => {
    const long = Array.from({ length: 15 }, (_, line) => `print(${line})`).join('\n');
    const kinds = (answer: string) => artifactsIn(answer).map(({ kind }) => kind);
    expect(kinds(fenced('html', page('A', 'x')))).toEqual(['html']);
    expect(kinds(fenced('svg', '<svg></svg>'))).toEqual(['svg']);
    expect(kinds(fenced('markdown', '# Plan'))).toEqual(['markdown']);
    expect(kinds(fenced('python', long))).toEqual(['code']);
    expect(kinds(fenced('python', 'print(1)'))).toEqual([]);
    expect(kinds(`1. First\n\n   \`\`\`html\n   <p>in a list</p>\n   \`\`\`\n`)).toEqual(['html']);
    expect(kinds('No code, but `html`.')).toEqual([]);
  });

  it('take their title from their content', () => {
    const titled = (language: string, text: string, info?: string) => artifactOf({ language, info, text }).title;
    expect(titled('html', page('Tip  calculator', ''))).toBe('Tip calculator');
    expect(titled('html', '<h1 class="a">Menu</h1>')).toBe('Menu');
    expect(titled('markdown', 'Intro\n\n## The plan ##\n')).toBe('The plan');
    expect(titled('python', '# tools/report.py\nprint()')).toBe('report.py');
    expect(titled('python', 'print()', 'python app.py')).toBe('app.py');
    expect(titled('python', '# Prints nothing\nprint()')).toBe('');
  });

  it('treat equal titles as versions', () => {
    const all = [
      ...artifactsIn(fenced('html', page('Menu', 'one'))),
      ...artifactsIn(fenced('html', page('Other', 'x'))),
      ...artifactsIn(fenced('html', page('Menu', 'two'))),
      ...artifactsIn(fenced('html', page('Menu', 'two')))
    ];
    const versions = versionsOf(artifactOf({ language: 'html', text: page('Menu', 'one') }), all);
    expect(versions.map(({ text }) => text)).toEqual([page('Menu', 'one'), page('Menu', 'two')]);
    const nameless = artifactOf({ language: 'html', text: '<p>a</p>' });
    expect(versionsOf(nameless, [nameless, artifactOf({ language: 'html', text: '<p>b</p>' })])).toEqual([nameless]);
    // The open artifact stays although the conversation doesn't contain it any more.
    expect(versionsOf(nameless, [])).toEqual([nameless]);
  });

  it('get a file name from their title', () => {
    const name = (language: string | null, text: string) => fileNameOf(artifactOf({ language, text }), 'Code');
    expect(name('html', page('Thực đơn: trưa!', ''))).toBe('thực-đơn-trưa.html');
    expect(name('python', '# app.py\n')).toBe('app.py');
    expect(name('rust', 'fn main() {}')).toBe('code.rs');
    expect(name(null, 'x')).toBe('code.txt');
    expect(name('../../etc', 'x')).toBe('code.txt');
  });

  it('are wrapped in a page if they have none', () => {
    expect(pageOf(artifactOf({ language: 'html', text: '<p>x</p>' }))).toBe('<p>x</p>');
    expect(pageOf(artifactOf({ language: 'xml', text: '<svg/>' }))).toBe('<svg/>');
    expect(pageOf(artifactOf({ language: 'xml', text: '<svg ></svg>' }))).toMatch(/^<!doctype html>.*<svg ><\/svg>$/);
  });
});
