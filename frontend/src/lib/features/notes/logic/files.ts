/** Export of notes: one as a Markdown file, all as a ZIP file. */
import { saveFile, saveText } from '#lib/ui/save-file.ts';
import type { StoredNote } from '../storage.ts';
import { zip } from './zip.ts';

type NoteText = Pick<StoredNote, 'title' | 'content' | 'edited_at'>;

const MAX_NAME = 80;

export function asMarkdown({ title, content }: NoteText): string {
  const name = title.trim();
  return `${name ? `# ${name}\n\n` : ''}${content.trimEnd()}\n`;
}

/** File name of a note, valid on every system. */
export function fileName({ title }: NoteText, untitled: string): string {
  const plain = title.replace(/[\p{Cc}/\\:*?"<>|]/gu, ' ').replace(/\s+/g, ' ');
  const name = [...plain]
    .slice(0, MAX_NAME)
    .join('')
    .replace(/^[. ]+|[. ]+$/g, '');
  return `${name || untitled}.md`;
}

/** Files of the notes with distinct names: “Call.md”, “Call (2).md”. */
export function filesOf(notes: readonly NoteText[], untitled: string): { name: string; text: string; time: Date }[] {
  const taken = new Set<string>();
  return notes.map((note) => {
    const wanted = fileName(note, untitled);
    let name = wanted;
    // Some file systems don't distinguish upper and lower case.
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
