/**
 * Keeps a page up to date while the browser translates it. Translators replace each text by a `<font>` element with the translation, so the app would
 * change texts that are no longer in the page. Here such a text is put back, without content, in front of its translation. As soon as the app changes
 * or removes it, the translation is removed, and the translator handles the new text.
 */

/** Text that was translated. */
interface Translated {
  text: Text;
  /** Content before it was translated. */
  original: string;
}

const isFont = (node: Node | null): node is Element => node instanceof Element && node.localName === 'font';

/** Observes the translation of the page. Returns a function that stops it. */
export function observeTranslation(root: Node): () => void {
  /** Translation of each text, and the text of each translation. */
  const fonts = new WeakMap<Text, Element>();
  const texts = new WeakMap<Element, Translated>();

  /** Removes the translation of a text that the app has changed or removed. */
  function discard(text: Text): void {
    fonts.get(text)?.remove();
    fonts.delete(text);
  }

  /** Puts a text back that was replaced by its translation. */
  function replaced(text: Text, { addedNodes, previousSibling, nextSibling }: MutationRecord): void {
    const font = [...addedNodes, previousSibling, nextSibling].find(
      (node): node is Element => isFont(node) && node.isConnected && !texts.has(node)
    );
    if (!font) return;
    fonts.set(text, font);
    texts.set(font, { text, original: text.data });
    font.before(text);
    text.data = '';
  }

  /** Restores the content of a text whose translation the translator has removed, as for “Show original”. */
  function restored(font: Element, { addedNodes }: MutationRecord): void {
    const { text, original } = texts.get(font) ?? {};
    if (!text || original === undefined || fonts.get(text) !== font) return;
    fonts.delete(text);
    for (const node of addedNodes) if (node instanceof Text && node !== text && node.data === original) node.remove();
    text.data = original;
  }

  const observer = new MutationObserver((records) => {
    for (const record of records) {
      if (record.type === 'characterData') {
        discard(record.target as Text);
        continue;
      }
      for (const node of record.removedNodes) {
        if (node.isConnected) continue;
        if (isFont(node)) restored(node, record);
        else if (!(node instanceof Text)) continue;
        else if (fonts.has(node)) discard(node);
        else replaced(node, record);
      }
    }
    // Changes that were made here need no handling.
    observer.takeRecords();
  });
  observer.observe(root, { childList: true, characterData: true, subtree: true });
  return () => observer.disconnect();
}
