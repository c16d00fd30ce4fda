/** Opens what of an answer stands for itself beside the conversation; elsewhere nothing does. */
import { getContext, setContext } from 'svelte';

/** A block of code, as it stands in an answer. */
export interface Block {
  readonly language: string | null;
  readonly info?: string | undefined;
  readonly text: string;
}

/** Nothing is opened while it is being written. */
type ArtifactContext = () => ((block: Block) => void) | undefined;

/** From so many lines on code is worth a place of its own. */
const MANY_LINES = 15;
const PREVIEWED = /^(html|svg|markdown|md)$/i;
const KEY = Symbol('opening');
const NOT_AT_ALL: ArtifactContext = () => undefined;

export const useArtifactContext = (): ArtifactContext => getContext<ArtifactContext | undefined>(KEY) ?? NOT_AT_ALL;
export const setArtifactContext = (opening: ArtifactContext): ArtifactContext => setContext(KEY, opening);

export function standsForItself({ language, text }: Block): boolean {
  return PREVIEWED.test(language ?? '') || text.split('\n', MANY_LINES).length === MANY_LINES;
}
