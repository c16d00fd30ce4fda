/** Export of notes: Markdown, or a ZIP of all. */
import { saveFile, saveText } from '#lib/ui/save-file.ts';
import type { StoredNote } from '../storage.ts';
import { zip } from './zip.ts';

type NoteText = Pick<StoredNote, 'title' | 'content' | 'edited_at'>;

const MAX_NAME = 80;

export function asMarkdown({ title, content }: NoteText): string {
  const name = title.trim();
  return `${name ? `# ${name}\n\n` : ''}${content.trimEnd()}\n`;
}

/** File name that is valid on every system. */
export function fileName({ title }: NoteText, untitled: string): string {
  const plain = title.replace(/[\p{Cc}/\\:*?"<>|]/gu, ' ').replace(/\s+/g, ' ');
  const name = [...plain]
    .slice(0, MAX_NAME)
    .join('')
    .replace(/^[. ]+|[. ]+$/g, '');
  return `${name || untitled}.md`;
}

/** Distinct file names: “Call.md”, “Call (2).md”. */
export function filesOf(notes: readonly NoteText[], untitled: string): { name: string; text: string; time: Date }[] {
  const taken = new Set<string>();
  return notes.map((note) => {
    const wanted = fileName(note, untitled);
    let name = wanted;
    // Some file systems are case-insensitive.
    for (let count = 2; taken.has(name.toLowerCase()); count += 1) name = wanted.replace(/\.md$/, ` (${count}).md`);
    taken.add(name.toLowerCase());
    return { name, text: asMarkdown(note), time: new Date(note.edited_at) };
  });
}

export function saveNote(note: NoteText, untitled: string): void {
  saveText(fileName(note, untitled), asMarkdown(note), 'text/markdown');
}

export function saveNotes(notes: readonly NoteText[], untitled: string): void {
  saveFile('notes.zip', new Blob(zip(filesOf(notes, untitled)), { type: 'application/zip' }));
}
