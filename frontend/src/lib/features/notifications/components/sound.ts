import { persistentStorage } from '#lib/util/browser-storage.ts';

const STORAGE_KEY = 'natter.sound';

/** Frequencies of the notes of each sound, in Hz. */
const SOUNDS: Record<Exclude<Sound, 'none'>, readonly number[]> = {
  drop: [880, 587],
  chime: [659, 988],
  knock: [196, 196]
};

export type Sound = 'none' | 'drop' | 'chime' | 'knock';

export const SOUND_NAMES: readonly Sound[] = ['none', 'drop', 'chime', 'knock'];

/** Storage key of the time at which the last sound was played in any tab. */
const LAST_SOUND_KEY = 'natter.sounded';
/** Time in milliseconds after a sound in which no other is played. */
const MIN_SOUND_INTERVAL = 1_500;
const NOTE_SECONDS = 0.11;
let last = 0;
let context: AudioContext | undefined;

export function chosenSound(): Sound {
  const stored = persistentStorage.getItem(STORAGE_KEY);
  return SOUND_NAMES.find((name) => name === stored) ?? 'drop';
}

export function chooseSound(sound: Sound): void {
  persistentStorage.setItem(STORAGE_KEY, sound);
}

/** Plays the chosen sound in one of the tabs. Browsers allow sound only after the user has interacted with the page. */
export function chime(): void {
  const now = Date.now();
  if (now - last < MIN_SOUND_INTERVAL) return;
  last = now;
  if ('userActivation' in navigator && !navigator.userActivation.hasBeenActive) return;
  const once = () => {
    if (isFirst(Date.now())) play(chosenSound());
  };
  // All tabs receive the event at the same time, so a lock lets only one of them play.
  if ('locks' in navigator) navigator.locks.request(LAST_SOUND_KEY, once).catch(() => undefined);
  else once();
}

/** Whether no tab has played a sound recently. If so, records that this one does now. */
function isFirst(now: number): boolean {
  if (Math.abs(now - Number(persistentStorage.getItem(LAST_SOUND_KEY))) < MIN_SOUND_INTERVAL) return false;
  // Without storage, every tab plays.
  persistentStorage.setItem(LAST_SOUND_KEY, String(now));
  return true;
}

export function play(sound: Sound): void {
  if (sound === 'none') return;
  try {
    context ??= new AudioContext();
    void context.resume();
    SOUNDS[sound].forEach((frequency, at) => playNote(context as AudioContext, frequency, at * NOTE_SECONDS));
  } catch {
    // The browser can't play audio.
  }
}

function playNote(on: AudioContext, frequency: number, after: number): void {
  const begin = on.currentTime + after;
  const tone = new OscillatorNode(on, { frequency, type: 'sine' });
  const volume = new GainNode(on, { gain: 0 });
  volume.gain.setValueAtTime(0, begin);
  volume.gain.linearRampToValueAtTime(0.12, begin + 0.01);
  volume.gain.exponentialRampToValueAtTime(0.001, begin + NOTE_SECONDS * 2);
  tone.connect(volume).connect(on.destination);
  tone.start(begin);
  tone.stop(begin + NOTE_SECONDS * 2);
}
