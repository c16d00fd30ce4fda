/** Prompt templates with `{{variables}}`. */

const VARIABLE = /\{\{ *([\p{L}\p{N}_.-](?:[\p{L}\p{N}_. -]{0,38}[\p{L}\p{N}_.-])?) *\}\}/gu;

/** Prompt ready for use. */
export interface UsablePrompt {
  readonly title: string;
  readonly content: string;
  /** Variables to fill in; all by default. */
  readonly needed?: readonly string[];
  /** Renders the text; by default the template is filled in. */
  readonly make?: (values: Readonly<Record<string, string>>) => Promise<string>;
}

/** Variable names in order of appearance. */
export function variablesOf(template: string): string[] {
  return [...new Set([...template.matchAll(VARIABLE)].map(([, name]) => name as string))];
}

/** Fills in the variables; empty ones are removed. */
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
