/** Playback of audio. At most one file plays on a page. */
export const SPEEDS = [1, 1.5, 2] as const;

let current: HTMLAudioElement | null = null;

export class Playing {
  isPlaying = $state(false);
  hasFailed = $state(false);
  speed = $state<(typeof SPEEDS)[number]>(1);
  /** Position of the playback, in seconds. */
  at = $state(0);
  #known = $state(0);
  #audio: HTMLAudioElement | undefined;
  readonly #source: () => string;
  readonly #claimed: () => number;

  constructor(source: () => string, milliseconds: () => number) {
    this.#source = source;
    this.#claimed = () => milliseconds() / 1_000;
  }

  /** Duration in seconds. The one that the server states comes first, because recordings of browsers reveal theirs only at the end. */
  get duration(): number {
    return this.#claimed() || this.#known;
  }

  get share(): number {
    return this.duration > 0 ? Math.min(1, this.at / this.duration) : 0;
  }

  toggle(): void {
    if (this.isPlaying) return this.#audio?.pause();
    const audio = (this.#audio ??= this.#make());
    if (current !== audio) current?.pause();
    current = audio;
    this.hasFailed = false;
    if (audio.error) audio.load();
    audio.playbackRate = this.speed;
    audio.play().catch(() => {
      // Playing also fails if it is paused before it starts, which is no error.
      if (audio.error) this.hasFailed = true;
    });
  }

  seek(seconds: number): void {
    this.at = Math.max(0, Math.min(seconds, this.duration));
    (this.#audio ??= this.#make()).currentTime = this.at;
  }

  faster(): void {
    this.speed = SPEEDS[(SPEEDS.indexOf(this.speed) + 1) % SPEEDS.length] ?? 1;
    if (this.#audio) this.#audio.playbackRate = this.speed;
  }

  close(): void {
    this.#audio?.pause();
    if (current === this.#audio) current = null;
    this.#audio?.removeAttribute('src');
  }

  #make(): HTMLAudioElement {
    const audio = new Audio(this.#source());
    audio.onplay = () => (this.isPlaying = true);
    audio.onpause = () => (this.isPlaying = false);
    audio.ontimeupdate = () => (this.at = audio.currentTime);
    audio.ondurationchange = () => {
      if (Number.isFinite(audio.duration)) this.#known = audio.duration;
    };
    audio.onended = () => {
      this.isPlaying = false;
      this.at = 0;
    };
    audio.onerror = () => {
      this.isPlaying = false;
      this.hasFailed = true;
    };
    return audio;
  }
}
