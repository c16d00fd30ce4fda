/** Reads text aloud with the voices of the browser. */

/** Length of a chunk in UTF-16 units: browsers stop in the middle of longer ones. */
const MAX_AT_ONCE = 200;
const VIETNAMESE = /[ăđơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]/i;

export const canSpeak = typeof speechSynthesis !== 'undefined';

/** Converts Markdown to the text to read aloud: without formatting, code and URLs. */
export function toSpeech(markdown: string): string {
  return markdown
    .replace(/^\s*```[^\n]*\n[\s\S]*?(?:^\s*```\s*$|$(?![\s\S]))/gm, '\n')
    .replace(/\$\$[\s\S]*?\$\$/g, ' ')
    .replace(/!\[[^\]\n]*\]\([^)\s]*\)/g, ' ')
    .replace(/\[([^\]\n]*)\]\([^)\s]*\)/g, '$1')
    .replace(/https?:\/\/\S+/g, ' ')
    .replace(/^\s*\|?[\s:|-]+\|[\s:|-]*$/gm, '')
    .replace(/\|/g, ', ')
    .replace(/^\s{0,3}(#{1,6}\s+|>\s?|[-*+]\s+(\[[ xX]\]\s+)?)/gm, '')
    .replace(/(\*\*|__|~~|`)/g, '')
    .replace(/(^|[\s(])[*_](?=\S)([^*_\n]*[^*_\s])[*_](?=$|[\s).,:;!?])/gm, '$1$2')
    .replace(/[ \t]+/g, ' ')
    .replace(/\s*\n\s*/g, '\n')
    .trim();
}

/** Splits a text into chunks of at most `most` UTF-16 units, at lines, sentences or words. */
export function speechChunks(text: string, most = MAX_AT_ONCE): string[] {
  const pieces: string[] = [];
  for (const line of text.split('\n')) {
    let rest = line.trim();
    while (rest.length > most) {
      const head = rest.slice(0, most);
      const sentence = Math.max(head.lastIndexOf('. '), head.lastIndexOf('? '), head.lastIndexOf('! '));
      const word = head.lastIndexOf(' ');
      const end = sentence > most / 3 ? sentence + 1 : word > 0 ? word : most;
      pieces.push(rest.slice(0, end));
      rest = rest.slice(end).trim();
    }
    if (rest) pieces.push(rest);
  }
  return pieces;
}

/** Language of a text; undefined if it is that of the page. */
export function languageOf(text: string): string | undefined {
  return VIETNAMESE.test(text) ? 'vi' : undefined;
}

/** Reads a text aloud and stops the one before. `ended` is called once: at the end, at a failure or when it is stopped. */
export function speak(markdown: string, ended: () => void): void {
  stopSpeaking();
  const pieces = speechChunks(toSpeech(markdown));
  const last = pieces.at(-1);
  if (last === undefined) {
    ended();
    return;
  }
  const lang = languageOf(markdown);
  let isOver = false;
  const end = () => {
    if (!isOver) ended();
    isOver = true;
  };
  for (const [at, piece] of pieces.entries()) {
    const utterance = new SpeechSynthesisUtterance(piece);
    if (lang) utterance.lang = lang;
    utterance.onerror = end;
    if (at === pieces.length - 1) utterance.onend = end;
    speechSynthesis.speak(utterance);
  }
}

export function stopSpeaking(): void {
  speechSynthesis.cancel();
}
