/** Marks the found words in the messages that are rendered, without changing their elements. */

const [ALL, SELECTED] = ['found-words', 'found-words-selected'];

/** Words that were found in a message, and whether it is the selected match. */
export interface FoundWords {
  readonly words: readonly string[];
  readonly isSelected: boolean;
}

/** Marks the words in the messages of a list, also in those that are rendered later. `wordsOf` gets the key of a message. Returns a function that stops. */
export function markFound(log: Element, wordsOf: (key: string) => FoundWords | undefined): () => void {
  if (!('highlights' in CSS)) return () => undefined;
  const [all, selected] = [new Highlight(), new Highlight()];
  CSS.highlights.set(ALL, all);
  CSS.highlights.set(SELECTED, selected);
  let frame = 0;

  function mark() {
    frame = 0;
    all.clear();
    selected.clear();
    for (const article of log.querySelectorAll<HTMLElement>('article[data-key]')) {
      const found = wordsOf(article.dataset.key ?? '');
      if (!found) continue;
      for (const range of rangesOf(article, found.words)) (found.isSelected ? selected : all).add(range);
    }
  }

  const observer = new MutationObserver(() => (frame ||= requestAnimationFrame(mark)));
  observer.observe(log, { childList: true, subtree: true, characterData: true });
  mark();
  return () => {
    observer.disconnect();
    cancelAnimationFrame(frame);
    CSS.highlights.delete(ALL);
    CSS.highlights.delete(SELECTED);
  };
}

/** Ranges of the words in the text of a message, regardless of case. */
export function rangesOf(article: Element, words: readonly string[]): Range[] {
  const wanted = [...new Set(words.map((word) => word.toLowerCase()))].filter(Boolean);
  const ranges: Range[] = [];
  for (const prose of article.querySelectorAll('.prose')) {
    const walker = document.createTreeWalker(prose, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const text = node.nodeValue ?? '';
      const lower = text.toLowerCase();
      // Some letters have another length in lower case, so the offsets would be wrong.
      if (lower.length !== text.length) continue;
      for (const word of wanted)
        for (let at = lower.indexOf(word); at !== -1; at = lower.indexOf(word, at + word.length)) {
          const range = document.createRange();
          range.setStart(node, at);
          range.setEnd(node, at + word.length);
          ranges.push(range);
        }
    }
  }
  return ranges;
}
