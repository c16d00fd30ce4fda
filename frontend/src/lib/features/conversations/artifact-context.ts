/** Context of answers whose artifacts can be opened beside the conversation. */
import { getContext, setContext } from 'svelte';

/** Code block of an answer. */
export interface Block {
  readonly language: string | null;
  readonly info?: string | undefined;
  readonly text: string;
}

/** Returns the function that opens a code block of the answer; undefined while the answer is streaming. */
type ArtifactContext = () => ((block: Block) => void) | undefined;

/** Number of lines from which a code block can be opened beside the conversation. */
const MANY_LINES = 15;
const PREVIEWED = /^(html|svg|markdown|md)$/i;
const KEY = Symbol('opening');
const NOT_AT_ALL: ArtifactContext = () => undefined;

export const useArtifactContext = (): ArtifactContext => getContext<ArtifactContext | undefined>(KEY) ?? NOT_AT_ALL;
export const setArtifactContext = (opening: ArtifactContext): ArtifactContext => setContext(KEY, opening);

export function standsForItself({ language, text }: Block): boolean {
  return PREVIEWED.test(language ?? '') || text.split('\n', MANY_LINES).length === MANY_LINES;
}
