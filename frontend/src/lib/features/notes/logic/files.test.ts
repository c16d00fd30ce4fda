import { crc32 } from 'node:zlib';
import { expect, it } from 'vitest';
import { asMarkdown, fileName, filesOf } from './files.ts';
import { zip } from './zip.ts';

const note = (title: string, content: string) => ({ title, content, edited_at: '2026-11-26T10:20:30.000Z' });

it('gives each note a unique file name that every system accepts', () => {
  const named = (title: string) => fileName(note(title, ''), 'Untitled');
  expect(named(' ../a:b?\u0007 ')).toBe('a b.md');
  expect(named(' . ')).toBe('Untitled.md');
  expect(named('x'.repeat(200))).toBe(`${'x'.repeat(80)}.md`);
  const names = filesOf([note('Call', ''), note('call', ''), note('Call', '')], 'Untitled').map(({ name }) => name);
  expect(names).toEqual(['Call.md', 'call (2).md', 'Call (3).md']);
});

it('writes the title as a heading', () => {
  expect(asMarkdown(note('Call', 'Noon\n\n'))).toBe('# Call\n\nNoon\n');
  expect(asMarkdown(note(' ', 'Noon'))).toBe('Noon\n');
});

it('writes a valid zip archive', () => {
  const files = filesOf([note('Gọi điện', 'Trưa nay'), note('', 'x'.repeat(70_000))], 'Untitled');
  const bytes = Buffer.concat(zip(files));
  const end = bytes.length - 22;
  expect(bytes.readUInt32LE(end)).toBe(0x06054b50);
  expect(bytes.readUInt16LE(end + 10)).toBe(2);
  let at = bytes.readUInt32LE(end + 16);
  const found = files.map(() => {
    expect(bytes.readUInt32LE(at)).toBe(0x02014b50);
    const [sum, size, length] = [bytes.readUInt32LE(at + 16), bytes.readUInt32LE(at + 24), bytes.readUInt16LE(at + 28)];
    const name = bytes.toString('utf8', at + 46, at + 46 + length);
    const local = bytes.readUInt32LE(at + 42);
    expect(bytes.readUInt32LE(local)).toBe(0x04034b50);
    const text = bytes.subarray(local + 30 + length, local + 30 + length + size);
    expect(crc32(text)).toBe(sum);
    at += 46 + length;
    return { name, text: text.toString('utf8') };
  });
  expect(at).toBe(end);
  expect(found).toEqual(files.map(({ name, text }) => ({ name, text })));
});
