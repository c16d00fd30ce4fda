const KEPT = 'natter.sound';

/** Frequencies of a sound’s notes, in Hz. */
const SOUNDS = {
  drop: [880, 587],
  chime: [659, 988],
  knock: [196, 196]
} as const;

export type Sound = keyof typeof SOUNDS | 'none';

export const SOUND_NAMES: readonly Sound[] = ['none', 'drop', 'chime', 'knock'];

/** Sounds in a row are one. */
const APART = 1_500;
const NOTE = 0.11;
let last = 0;
let context: AudioContext | undefined;

export function chosenSound(): Sound {
  try {
    const kept = localStorage.getItem(KEPT);
    return SOUND_NAMES.find((name) => name === kept) ?? 'drop';
  } catch {
    return 'drop';
  }
}

export function chooseSound(sound: Sound): void {
  try {
    localStorage.setItem(KEPT, sound);
  } catch {
    // It is as it was with the next page.
  }
}

/** Makes it heard that something has come; a browser lets a page be heard once somebody has used it. */
export function chime(): void {
  const now = Date.now();
  if (now - last < APART) return;
  last = now;
  play(chosenSound());
}

export function play(sound: Sound): void {
  if (sound === 'none') return;
  try {
    context ??= new AudioContext();
    void context.resume();
    SOUNDS[sound].forEach((frequency, at) => note(context as AudioContext, frequency, at * NOTE));
  } catch {
    // There is nothing to play it on.
  }
}

function note(on: AudioContext, frequency: number, after: number): void {
  const begin = on.currentTime + after;
  const tone = new OscillatorNode(on, { frequency, type: 'sine' });
  const volume = new GainNode(on, { gain: 0 });
  volume.gain.setValueAtTime(0, begin);
  volume.gain.linearRampToValueAtTime(0.12, begin + 0.01);
  volume.gain.exponentialRampToValueAtTime(0.001, begin + NOTE * 2);
  tone.connect(volume).connect(on.destination);
  tone.start(begin);
  tone.stop(begin + NOTE * 2);
}
