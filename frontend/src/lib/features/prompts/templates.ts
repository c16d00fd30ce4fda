/** Prompt templates with `{{variables}}`. */

const VARIABLE = /\{\{ *([\p{L}\p{N}_.-](?:[\p{L}\p{N}_. -]{0,38}[\p{L}\p{N}_.-])?) *\}\}/gu;

/** A prompt as it is used. */
export interface UsablePrompt {
  readonly title: string;
  readonly content: string;
  /** The variables that have to be filled in; left out, all of them. */
  readonly needed?: readonly string[];
  /** Makes the text of them, where that is not the content with the variables filled in. */
  readonly make?: (values: Readonly<Record<string, string>>) => Promise<string>;
}

/** The names of the variables, in the order in which they first stand in the text. */
export function variablesOf(template: string): string[] {
  return [...new Set([...template.matchAll(VARIABLE)].map(([, name]) => name as string))];
}

/** The text with its variables filled in; one that is left empty leaves nothing. */
export function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(VARIABLE, (_, name: string) => values[name]?.trim() ?? '').trim();
}

export interface TemplatePiece {
  readonly text: string;
  readonly isVariable: boolean;
}

/** Splits a template into text and variables. */
export function cutVariables(template: string): TemplatePiece[] {
  const pieces: TemplatePiece[] = [];
  let from = 0;
  for (const match of template.matchAll(VARIABLE)) {
    if (match.index > from) pieces.push({ text: template.slice(from, match.index), isVariable: false });
    pieces.push({ text: match[1] as string, isVariable: true });
    from = match.index + match[0].length;
  }
  if (from < template.length) pieces.push({ text: template.slice(from), isVariable: false });
  return pieces;
}
