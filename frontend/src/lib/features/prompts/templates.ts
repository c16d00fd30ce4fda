/** Variables in prompt templates, written as `{{name}}`. */

const VARIABLE = /\{\{ *([\p{L}\p{N}_.-](?:[\p{L}\p{N}_. -]{0,38}[\p{L}\p{N}_.-])?) *\}\}/gu;

/** Prompt that can be inserted into the composer. */
export interface UsablePrompt {
  readonly title: string;
  readonly content: string;
  /** Names of the variables that must be filled in; if absent, all of them. */
  readonly needed?: readonly string[];
  /** Renders the text on the server; if absent, the template is filled in here. */
  readonly make?: (values: Readonly<Record<string, string>>) => Promise<string>;
}

/** Names of the variables of a template, in order of appearance. */
export function variablesOf(template: string): string[] {
  return [...new Set([...template.matchAll(VARIABLE)].map(([, name]) => name as string))];
}

/** Replaces the variables by values. A variable without a value is removed. */
export function fillTemplate(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(VARIABLE, (_, name: string) => values[name]?.trim() ?? '').trim();
}

export interface TemplatePiece {
  readonly text: string;
  readonly isVariable: boolean;
}

/** Splits a template into texts and variables. */
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
