/** Number of characters from which a text is easier to read as a file than as a message. */

const MANY_CHARACTERS = 4_000;
const MANY_LINES = 50;

export function isLargePaste(text: string): boolean {
  return text.length > MANY_CHARACTERS || text.split('\n', MANY_LINES + 1).length > MANY_LINES;
}

export function asFile(text: string): File {
  return isJson(text)
    ? new File([text], 'pasted.json', { type: 'application/json' })
    : new File([text], 'pasted.txt', { type: 'text/plain' });
}

function isJson(text: string): boolean {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
